"""The deny list: URLs and images that must not be fetched, labelled or kept; and how they are forgotten."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, bindparam, delete, select, tuple_, update

from shared.errors import Code
from shared.hosts import host_of
from shared.items import Evidence, ItemState, Result, now
from shared.store.database import Database
from shared.store.mapping import ref_digest
from shared.store.result_columns import COLUMNS
from shared.store.schema import items, results
from shared.store.schema_api import denied
from shared.store.schema_hosts import retries
from shared.store.statements import SAME_ITEM, add_counts, add_progress, insert_new, is_ref
from shared.store.stored_responses import remove_validators
from shared.store.thumbnails import remove_thumbnail, remove_unused_thumbnails

#: Job and index of an item.
Key = tuple[int, int]
#: Results changed in one transaction.
_AT_ONCE = 1000
#: Most contents of one URL that are reported.
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
    """The outcome of forgetting: the number of results, and the SHA-256 values (in hex) of their contents.

    A URL can have had many contents: the first hundred are reported.
    """

    results: int
    contents: tuple[str, ...]


class DenyList:
    """The statements on the deny list, and those that forget images."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def urls(self, urls: Collection[str]) -> set[str]:
        """Return those of these URLs that are denied, in any spelling."""
        return self._denied({url: url_digest(url) for url in urls})

    def contents(self, sha256s: Collection[str]) -> set[str]:
        """Return those SHA-256 values (in hex) that are denied."""
        return self._denied({sha256: bytes.fromhex(sha256) for sha256 in sha256s})

    def forget_url(self, url: str) -> Forgotten:
        """Deny a URL, and forget the results of items with this reference.

        The content is not denied, because other URLs can lead to it. Calling it again changes nothing, and
        completes an interrupted call.
        """
        with self._database.write() as connection:
            deny(connection, url_digest(url))
            remove_validators(connection, [url])
            place = tuple_(retries.c.job_id, retries.c.index)
            those = select(items.c.job_id, items.c.index).where(is_ref(url))
            connection.execute(delete(retries).where(place.in_(those)))
        return self._forget(_FOUND.where(is_ref(url)).order_by(items.c.job_id))

    def forget_sha256(self, sha256: str) -> Forgotten:
        """Deny an image by the SHA-256 (in hex) of its bytes, and forget it under all references."""
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
        """Forget the results of a query, in the order of an index: otherwise each step may scan the table."""
        count, contents = 0, set[str]()
        # Transactions that read the older list may still store results: when
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
    """Clear everything known about the images of results, and count them again."""
    place = (results.c.job_id == bindparam("job")) & (results.c.index == bindparam("place"))
    places = [{"job": row["job_id"], "place": row["index"]} for row in rows]
    connection.execute(update(results).where(place).values(_NOTHING), places)
    before = Counter((row["job_id"], row["state"], row["code"]) for row in rows)
    add_counts(connection, {key: -count for key, count in before.items()})
    add_progress(connection, ((row["job_id"], ItemState.SKIPPED, Code.FORGOTTEN) for row in rows))


def url_digest(url: str) -> bytes:
    """Return the digest of a URL on the deny list: the same for all spellings of the same request."""
    from shared.fetching.urls import normal_url  # imports the URL parser, which files do not need

    return ref_digest(normal_url(url))


def deny(connection: Connection, digest: bytes) -> None:
    """Add a URL or an image to the list."""
    statement = insert_new(connection, denied, "digest")
    connection.execute(statement, {"digest": digest, "created_at": now()})


def hold_denied(connection: Connection) -> None:
    """Make forgetting wait until this transaction ends, so that it finds the new rows.

    SQLite has one writer at a time anyway.
    """
    if connection.dialect.name == "postgresql":
        from shared.store import postgres

        postgres.hold_denied(connection)


def seize_denied(connection: Connection) -> None:
    """Hold an exclusive lock on the list until this transaction ends."""
    if connection.dialect.name == "postgresql":
        from shared.store import postgres

        postgres.seize_denied(connection)


def without_denied(connection: Connection, new: Mapping[Key, Result]) -> dict[Key, Result]:
    """Return results as they may be stored: those of denied images without anything about the image."""
    labelled = {key: result for key, result in new.items() if result.state is ItemState.SUCCEEDED}
    found = _denied_keys(connection, labelled) if labelled else set()
    return {
        key: _forgotten(result) if key in found or result.code is Code.FORGOTTEN else result
        for key, result in new.items()
    }


def _denied_keys(connection: Connection, labelled: Mapping[Key, Result]) -> set[Key]:
    """Return which results have a denied URL or denied bytes; hold a shared lock on the list."""
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
    """Return a result with only its item, host, time and attempts."""
    seen = result.evidence
    kept = Evidence(host=seen.host, fetch_ms=seen.fetch_ms, label_ms=seen.label_ms)
    bare = replace(result, state=ItemState.SKIPPED, code=Code.FORGOTTEN, detail="")
    return replace(bare, class_ids=(), scores=(), evidence=kept, revalidation=None, thumbnail=None)
