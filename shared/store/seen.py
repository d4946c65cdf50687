"""What is known of a picture, across jobs: the results of all items that led to it, the newest job first."""

from typing import Any

from sqlalchemy import ColumnElement, Select, select, tuple_

from shared.items import JobState
from shared.store.database import Database
from shared.store.mapping import item_from, ref_hash, result_from
from shared.store.results import Outcome
from shared.store.schema import items, jobs, results

#: Job and index of an item.
Place = tuple[int, int]

_SAME_ITEM = (results.c.job_id == items.c.job_id) & (results.c.index == items.c.index)


class Seen:
    """The statements on what was seen of a picture; with a key, only in the jobs that belong to it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def seen_by_url(self, url: str, key_id: int | None, after: Place | None, limit: int) -> list[Outcome]:
        """Return what items with this reference came to, of those that follow the place ``after``."""
        # The short digest is the index's, and several references can have the same.
        which = (items.c.ref_hash == ref_hash(url)) & (items.c.ref == url)
        return self._seen(which, items.c, key_id, after, limit)

    def seen_by_sha256(
        self, sha256: str, key_id: int | None, after: Place | None, limit: int
    ) -> list[Outcome]:
        """Return the same of items that led to these bytes, whose SHA-256 is given in hex."""
        return self._seen(results.c.sha256 == bytes.fromhex(sha256), results.c, key_id, after, limit)

    def _seen(
        self, which: ColumnElement[bool], columns: Any, key_id: int | None, after: Place | None, limit: int
    ) -> list[Outcome]:
        """Return outcomes in the order of columns of the table that is looked through."""
        place = columns["job_id"], columns["index"]
        query = _SEEN.where(which).order_by(*(column.desc() for column in place)).limit(limit)
        if key_id is not None:
            query = query.where(jobs.c.key_id == key_id)
        if after is not None:
            query = query.where(tuple_(*place) < tuple_(*after))
        with self._database.read() as connection:
            rows = connection.execute(query).mappings()
            return [Outcome(item_from(row), result_from(row)) for row in rows]


_SEEN: Select[Any] = (
    select(results, items.c.ref, items.c.custom_id)
    .join(items, _SAME_ITEM)
    .join(jobs, jobs.c.id == results.c.job_id)
    .where(jobs.c.state != JobState.DELETING)
)
