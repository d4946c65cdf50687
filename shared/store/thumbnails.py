"""Thumbnails: what a model saw of an image, stored once for all items with the same bytes.

A thumbnail exists only as long as a result has its SHA-256: whatever removes that from results removes the
thumbnail in the same transaction, so that a process that dies leaves nothing behind. Whoever stores a result
holds its thumbnail, or the result whose labels it reuses, so that nobody removes the thumbnail meanwhile.
Images labelled without thumbnails have none.
"""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Connection, bindparam, delete, exists, select

from shared.items import ItemState, Result
from shared.store.database import Database
from shared.store.schema import results
from shared.store.schema_api import thumbnails
from shared.store.statements import insert_or_hold

#: Most digests in one statement.
_AT_ONCE = 1000


class Thumbnails:
    """The statements on thumbnails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, job_id: int, index: int) -> bytes | None:
        """Return the thumbnail (JPEG) of an item's image, if there is one."""
        query = select(thumbnails.c.content).join(results, results.c.sha256 == thumbnails.c.sha256)
        query = query.where(results.c.job_id == job_id, results.c.index == index)
        with self._database.read() as connection:
            content: bytes | None = connection.execute(query).scalar()
            return content

    def get_many(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the existing thumbnails of these contents, by SHA-256; meant for one page."""
        query = select(thumbnails.c.sha256, thumbnails.c.content).where(thumbnails.c.sha256.in_(digests))
        with self._database.read() as connection:
            return {digest: content for digest, content in connection.execute(query)}


def save_thumbnails(connection: Connection, new: Iterable[Result]) -> None:
    """Store the thumbnails of these results; an existing thumbnail is kept."""
    found = {
        bytes.fromhex(result.evidence.sha256): result.thumbnail
        for result in new
        if result.thumbnail and result.evidence.sha256 and result.state is ItemState.SUCCEEDED
    }
    # In key order: two workers that store the same contents must not deadlock.
    rows = [{"sha256": digest, "content": found[digest]} for digest in sorted(found)]
    if rows:
        insert_or_hold(connection, thumbnails, rows, "sha256")


def remove_thumbnail(connection: Connection, digest: bytes) -> None:
    """Delete the thumbnail of a content, even if results use it."""
    connection.execute(delete(thumbnails).where(thumbnails.c.sha256 == digest))


def remove_unused_thumbnails(connection: Connection, digests: Collection[bytes]) -> None:
    """Delete those thumbnails of these contents that no result uses any more.

    They are locked before results are checked: otherwise two transactions that remove the last two results of
    a content would each see the other's result, and leave the thumbnail for ever.
    """
    ordered = sorted(digests)  # in key order, as when storing, to avoid deadlocks
    for start in range(0, len(ordered), _AT_ONCE):
        locked = _locked(connection, ordered[start : start + _AT_ONCE])
        if locked:
            connection.execute(_REMOVAL, [{"known": digest} for digest in locked])


_IS_USED = exists().where(results.c.sha256 == bindparam("known"))
_REMOVAL = delete(thumbnails).where(thumbnails.c.sha256 == bindparam("known"), ~_IS_USED)


def _locked(connection: Connection, digests: Sequence[bytes]) -> Sequence[bytes]:
    """Return which of these contents have a thumbnail, and lock those rows."""
    query = select(thumbnails.c.sha256).where(thumbnails.c.sha256.in_(digests))
    return connection.execute(query.order_by(thumbnails.c.sha256).with_for_update()).scalars().all()
