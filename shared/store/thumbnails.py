"""Thumbnails: what a model saw of an image, kept once for all items that led to the same bytes.

One is there only as long as a result has its SHA-256: whoever takes that from results takes the thumbnail
along in the same transaction, so that a process that dies leaves nothing over. The other way round nothing is
promised: images that were labelled without thumbnails have none, and where a job is removed in the very
moment in which another one stores a result of the same bytes, the thumbnail may go with the first. The result
stays without one then, until its bytes are classified anew.
"""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Connection, bindparam, delete, exists, select

from shared.items import ItemState, Result
from shared.store.database import Database
from shared.store.schema import results
from shared.store.schema_api import thumbnails
from shared.store.statements import insert_many_new

#: Digests in one statement.
_AT_ONCE = 1000


class Thumbnails:
    """The statements on thumbnails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, job_id: int, index: int) -> bytes | None:
        """Return the JPEG of what was seen of an item's image, if there is one."""
        query = select(thumbnails.c.content).join(results, results.c.sha256 == thumbnails.c.sha256)
        query = query.where(results.c.job_id == job_id, results.c.index == index)
        with self._database.read() as connection:
            content: bytes | None = connection.execute(query).scalar()
            return content

    def get_many(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the thumbnails that there are of these contents, by their SHA-256; of a page's, not more."""
        query = select(thumbnails.c.sha256, thumbnails.c.content).where(thumbnails.c.sha256.in_(digests))
        with self._database.read() as connection:
            return {digest: content for digest, content in connection.execute(query)}


def save_thumbnails(connection: Connection, new: Iterable[Result]) -> None:
    """Store the thumbnails that these results bring along; a content that has one keeps it."""
    found = {
        bytes.fromhex(result.evidence.sha256): result.thumbnail
        for result in new
        if result.thumbnail and result.evidence.sha256 and result.state is ItemState.SUCCEEDED
    }
    # In the order of keys: two workers that store the same contents must not wait for each other.
    rows = [{"sha256": digest, "content": found[digest]} for digest in sorted(found)]
    if rows:
        insert_many_new(connection, thumbnails, rows, "sha256")


def remove_thumbnail(connection: Connection, digest: bytes) -> None:
    """Take the thumbnail of a content away, whoever has it."""
    connection.execute(delete(thumbnails).where(thumbnails.c.sha256 == digest))


def remove_unused_thumbnails(connection: Connection, digests: Collection[bytes]) -> None:
    """Take away those thumbnails of these contents that no result has any more.

    They are locked before results are looked at: of two that take away the last two results of a content,
    each would else see the result of the other, and leave the thumbnail for ever.
    """
    ordered = sorted(digests)  # as they are stored: nobody waits for somebody who waits for them
    for start in range(0, len(ordered), _AT_ONCE):
        locked = _locked(connection, ordered[start : start + _AT_ONCE])
        if locked:
            connection.execute(_REMOVAL, [{"known": digest} for digest in locked])


_IS_USED = exists().where(results.c.sha256 == bindparam("known"))
_REMOVAL = delete(thumbnails).where(thumbnails.c.sha256 == bindparam("known"), ~_IS_USED)


def _locked(connection: Connection, digests: Sequence[bytes]) -> Sequence[bytes]:
    """Return which of these contents have a thumbnail, which nobody else takes away until we are done."""
    query = select(thumbnails.c.sha256).where(thumbnails.c.sha256.in_(digests))
    return connection.execute(query.order_by(thumbnails.c.sha256).with_for_update()).scalars().all()
