"""The deny list: URLs and images that must not be fetched, labelled or kept; and how they are forgotten."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, bindparam, select, update

from shared.errors import Code
from shared.hosts import host_of
from shared.items import Evidence, ItemState, Result, now
from shared.store.database import Database
from shared.store.mapping import ref_digest
from shared.store.result_columns import COLUMNS
from shared.store.schema import items, results
from shared.store.schema_api import denied
from shared.store.statements import SAME_ITEM, add_counts, add_progress, insert_new, is_ref
from shared.store.stored_responses import remove_validators
from shared.store.thumbnails import remove_thumbnail, remove_unused_thumbnails

#: Job and index of an item.
Key = tuple[int, int]
#: Results changed in one transaction.
_AT_ONCE = 1000
#: Contents of one URL that are told.
_TOLD = 100
#: What of a result is kept: its place, its host, when it ended, how often it was tried and how long it took.
_KEPT = ("code", "host", "fetch_ms", "label_ms")
_STORED = (column for column in COLUMNS if column.stored is not None and column.nullable)
_NOTHING: dict[str, Any] = {
    "state": ItemState.SKIPPED,
    "code": Code.FORGOTTEN,
    "detail": "",
    "class_ids": (),
    "scores": (),
    **dict.fromkeys(("top_class", "top_score", "format")),
    **{column.name: None for column in _STORED if column.name not in _KEPT},
}


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was forgotten: how many results, and the SHA-256 values (in hex) of what they were of.

    A URL can have led to many contents: the first hundred are told.
    """

    results: int
    contents: tuple[str, ...]


class DenyList:
    """The statements on what is denied, and the ones that forget it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def urls(self, urls: Collection[str]) -> set[str]:
        """Return those of these URLs that are denied, however they are written."""
        return self._denied({url: url_digest(url) for url in urls})

    def contents(self, sha256s: Collection[str]) -> set[str]:
        """Return those SHA-256 values (in hex) that are denied."""
        return self._denied({sha256: bytes.fromhex(sha256) for sha256 in sha256s})

    def forget_url(self, url: str) -> Forgotten:
        """Deny a URL for good, and forget what it led to where it was the reference of an item.

        The content is not denied, as other URLs can lead there, too. Doing it again changes nothing; what
        broke off half way is finished so.
        """
        with self._database.write() as connection:
            deny(connection, url_digest(url))
            remove_validators(connection, [url])
        return self._forget(_FOUND.where(is_ref(url)).order_by(items.c.job_id))

    def forget_sha256(self, sha256: str) -> Forgotten:
        """Deny an image by the SHA-256 (in hex) of its bytes, and forget it under whatever reference."""
        digest = bytes.fromhex(sha256)
        with self._database.write() as connection:
            deny(connection, digest)
            remove_thumbnail(connection, digest)
        return self._forget(
            _FOUND.where(results.c.sha256 == digest).order_by(results.c.model_id, results.c.reused)
        )

    def _denied(self, digests: Mapping[str, bytes]) -> set[str]:
        with self._database.read() as connection:
            found = _listed(connection, digests.values())
        return {name for name, digest in digests.items() if digest in found}

    def _forget(self, found: Select[Any]) -> Forgotten:
        """Forget what a query finds, in the order of an index: else the whole table may be read each time."""
        count, contents = 0, set[str]()
        # Those who looked at the list before this was on it may be about to store something still: when
        # nothing is left to be found they are waited for, and what they stored is found, too.
        for alone in (False, True):
            while rows := self._forget_some(found, alone):
                count += len(rows)
                contents |= {row["sha256"].hex() for row in rows if row["sha256"]}
        return Forgotten(count, tuple(sorted(contents)[:_TOLD]))

    def _forget_some(self, found: Select[Any], alone: bool) -> Sequence[RowMapping]:
        query = found.limit(_AT_ONCE).with_for_update(of=results)
        with self._database.write() as connection:
            if alone:
                seize_denied(connection)
            rows = connection.execute(query).mappings().all()
            if rows:
                _empty(connection, rows)
                remove_validators(connection, (row["ref"] for row in rows))
                # Also those that were stored by whoever looked at the list before this was on it.
                remove_unused_thumbnails(connection, {row["sha256"] for row in rows if row["sha256"]})
            return rows


_FOUND: Select[Any] = (
    select(results.c.job_id, results.c.index, results.c.state, results.c.code, results.c.sha256, items.c.ref)
    .join(items, SAME_ITEM)
    .where(results.c.code.is_distinct_from(Code.FORGOTTEN))
)


def _empty(connection: Connection, rows: Sequence[RowMapping]) -> None:
    """Take from results all that was found out about their images, and count them anew."""
    place = (results.c.job_id == bindparam("job")) & (results.c.index == bindparam("place"))
    places = [{"job": row["job_id"], "place": row["index"]} for row in rows]
    connection.execute(update(results).where(place).values(_NOTHING), places)
    before = Counter((row["job_id"], row["state"], row["code"]) for row in rows)
    add_counts(connection, {key: -count for key, count in before.items()})
    add_progress(connection, ((row["job_id"], ItemState.SKIPPED, Code.FORGOTTEN) for row in rows))


def url_digest(url: str) -> bytes:
    """Return what a URL is denied by: the same for all ways of writing it that ask for the same."""
    from shared.fetching.guard import plain_url  # with its parser, which files do not need

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
