"""Duplicates: items that share an earlier one's reference, and take its result.

A reference can occur millions of times in a job: what one transaction does for it is bounded.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, literal, select

from shared.store.database import Database
from shared.store.denied import hold_denied
from shared.store.schema import items, results
from shared.store.statements import insert_counted

#: Duplicates that get their result in one transaction.
AT_ONCE = 10_000
#: Indexes of an original and of one of its duplicates; none has the index 0.
_Place = tuple[int, int]
#: Above all indexes.
_NO_END = 2**63 - 1


class Duplicates:
    """The statements on items with the same reference."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def backfill(self, job_id: int) -> None:
        """Give the items that share an earlier one's reference its result, where that was missed.

        An item recorded in the very moment in which the earlier one's result is stored can miss it; those of
        which there are very many are left to this.
        """
        start: _Place | None = (0, 0)
        while start is not None:
            with self._database.write() as connection:
                start = _backfill_some(connection, job_id, start)


def copy_to_duplicates(connection: Connection, job_id: int, which: ColumnElement[bool]) -> None:
    """Store the results of original items for those items with the same reference that have none."""
    hold_denied(connection)
    row: dict[str, Any] = {column.name: column for column in results.c}
    row |= {"index": items.c.index, "reused": literal(True)}
    original = (results.c.job_id == items.c.job_id) & (results.c.index == items.c.original)
    source = (
        select(*row.values())
        .join(items, original)
        .where(items.c.job_id == job_id, items.c.original.is_not(None), which)
        .order_by(items.c.index)
    )
    insert_counted(connection, list(row), source)


def copy_to_some_duplicates(connection: Connection, job_id: int, originals: Sequence[int]) -> None:
    """Do so for the duplicates of these items, as far as one transaction can; the rest is to be settled."""
    room, chosen = AT_ONCE, []
    for original, count in _counted(connection, job_id, originals):
        if 0 < count <= room:
            chosen.append(original)
            room -= count
    if chosen:
        copy_to_duplicates(connection, job_id, items.c.original.in_(chosen))


def _counted(connection: Connection, job_id: int, originals: Sequence[int]) -> Sequence[Any]:
    """Return how many duplicates each of these items has, or that there are too many."""
    same = items.alias()
    # One item after the other: for many at once, Postgres may look at all duplicates of the job.
    found = select(same.c.index).where(same.c.job_id == job_id, same.c.original == items.c.index)
    some = found.limit(AT_ONCE + 1).correlate(items).subquery()
    count = select(func.count()).select_from(some).scalar_subquery()
    query = select(items.c.index, count).where(items.c.job_id == job_id, items.c.index.in_(originals))
    return connection.execute(query.order_by(items.c.index)).all()


def _backfill_some(connection: Connection, job_id: int, start: _Place) -> _Place | None:
    """Settle some duplicates of one item, or all of several, and return where to go on."""
    original, index = start
    of_one = (items.c.original == original) & (items.c.index >= index)
    stop = _one_too_many(connection, job_id, of_one if index else items.c.original >= original)
    those: ColumnElement[bool]
    after: _Place | None
    if stop and stop[0] == original:
        those, after = of_one & (items.c.index < stop[1]), stop
    elif index:
        those, after = of_one, (original + 1, 0)
    else:
        those = _of_several(original, stop[0] if stop else _NO_END)
        after = (stop[0], 0) if stop else None
    copy_to_duplicates(connection, job_id, those)
    return after


def _one_too_many(connection: Connection, job_id: int, those: ColumnElement[bool]) -> _Place | None:
    """Return the first of these duplicates that a transaction cannot take any more, if there is one."""
    place = (items.c.original, items.c.index)
    query = select(*place).where(items.c.job_id == job_id, items.c.original.is_not(None), those)
    row = connection.execute(query.order_by(*place).offset(AT_ONCE).limit(1)).one_or_none()
    return None if row is None else (row[0], row[1])


def _of_several(start: int, stop: int) -> ColumnElement[bool]:
    # Of the results, too: Postgres would look at all of the job's.
    return items.c.original.between(start, stop - 1) & results.c.index.between(start, stop - 1)
