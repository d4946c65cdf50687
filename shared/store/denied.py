"""The deny list: URLs and images that somebody asked not to be fetched, labelled or kept any more."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from sqlalchemy import Connection, select

from shared.errors import Code
from shared.hosts import host_of
from shared.items import Evidence, ItemState, Result, now
from shared.store.database import Database
from shared.store.mapping import ref_digest
from shared.store.schema import items
from shared.store.schema_api import denied
from shared.store.statements import insert_new

#: Job and index of an item.
Key = tuple[int, int]


class DenyList:
    """The statements on what is denied."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def urls(self, urls: Collection[str]) -> set[str]:
        """Return those of these URLs that are denied, however they are written."""
        return self._denied({url: url_digest(url) for url in urls})

    def contents(self, sha256s: Collection[str]) -> set[str]:
        """Return those SHA-256 values (in hex) that are denied."""
        return self._denied({sha256: bytes.fromhex(sha256) for sha256 in sha256s})

    def _denied(self, digests: Mapping[str, bytes]) -> set[str]:
        with self._database.read() as connection:
            found = _listed(connection, digests.values())
        return {name for name, digest in digests.items() if digest in found}


def url_digest(url: str) -> bytes:
    """Return what a URL is denied by: the same for all ways of writing it that ask for the same."""
    from shared.fetching.urls import plain_url  # with its parser, which files do not need

    return ref_digest(plain_url(url))


def deny(connection: Connection, digest: bytes) -> None:
    """Put a URL or an image on the list, where it stays."""
    statement = insert_new(connection, denied, "digest")
    connection.execute(statement, {"digest": digest, "created_at": now()})


def hold_denied(connection: Connection) -> None:
    """Keep whoever forgets an image from ending before this transaction does: they are to find its rows.

    SQLite has one writer at a time anyway.
    """
    if connection.dialect.name == "postgresql":
        from shared.store import postgres

        postgres.hold_denied(connection)


def seize_denied(connection: Connection) -> None:
    """Wait for those who hold the list, and keep others from it until this transaction ends."""
    if connection.dialect.name == "postgresql":
        from shared.store import postgres

        postgres.seize_denied(connection)


def without_denied(connection: Connection, new: Mapping[Key, Result]) -> dict[Key, Result]:
    """Return results as they may be stored: of an image that is denied, only that it is."""
    labelled = {key: result for key, result in new.items() if result.state is ItemState.SUCCEEDED}
    found = _denied_keys(connection, labelled) if labelled else set()
    return {
        key: _forgotten(result) if key in found or result.code is Code.FORGOTTEN else result
        for key, result in new.items()
    }


def _denied_keys(connection: Connection, labelled: Mapping[Key, Result]) -> set[Key]:
    """Return which results are of a URL, or of bytes, that are denied; and hold the list."""
    hold_denied(connection)
    by_url = {key: url_digest(ref) for key, ref in _refs(connection, labelled).items() if host_of(ref)}
    sha256s = {key: result.evidence.sha256 for key, result in labelled.items()}
    by_content = {key: bytes.fromhex(sha256) for key, sha256 in sha256s.items() if sha256}
    found = _listed(connection, {*by_url.values(), *by_content.values()})
    return {key for digests in (by_url, by_content) for key, digest in digests.items() if digest in found}


def _refs(connection: Connection, keys: Iterable[Key]) -> dict[Key, str]:
    refs: dict[Key, str] = {}
    for job_id in {job_id for job_id, _ in keys}:
        indexes = [index for job, index in keys if job == job_id]
        query = select(items.c.index, items.c.ref).where(items.c.job_id == job_id, items.c.index.in_(indexes))
        refs |= {(job_id, index): ref for index, ref in connection.execute(query)}
    return refs


def _listed(connection: Connection, digests: Collection[bytes]) -> set[bytes]:
    query = select(denied.c.digest).where(denied.c.digest.in_(list(digests)))
    return {bytes(digest) for digest in connection.execute(query).scalars()}


def _forgotten(result: Result) -> Result:
    """Return what may be kept: that there was an item, at which host, when, and how often it was tried."""
    seen = result.evidence
    kept = Evidence(host=seen.host, fetch_ms=seen.fetch_ms, label_ms=seen.label_ms)
    bare = replace(result, state=ItemState.SKIPPED, code=Code.FORGOTTEN, detail="")
    return replace(bare, class_ids=(), scores=(), evidence=kept, revalidation=None, thumbnail=None)
