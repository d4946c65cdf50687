"""Items: the references of a job in order, their duplicates, and the trials of poison messages.

A reference can occur millions of times in a job: what one transaction does for its duplicates is bounded.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, delete, func, literal, select, update

from shared.errors import Code, UsageError
from shared.hosts import host_of
from shared.items import Item, JobState, Message
from shared.store.database import Database
from shared.store.deny_list import hold_denied
from shared.store.mapping import item_from, item_values, ref_hash
from shared.store.schema import items, jobs, results, suspects
from shared.store.schema_hosts import job_hosts
from shared.store.statements import insert_counted, insert_many_new, insert_new, insert_or_add

_TAKING = (JobState.SUBMITTING, JobState.PAUSED)


class Items:
    """The statements on items."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: Sequence[Item], digest: str = "") -> None:
        """Record the next items of a job, by index; what is there already stays as it is.

        ``digest`` stands for all references of the job up to the last of these. An item with the same
        reference as an earlier one takes its result, now or later. Raises ``UsageError(job_not_ready)``
        if the job takes no more items.
        """
        with self._database.write() as connection:
            before = _extend(connection, new[0].job_id, new[-1].index + 1, digest)
            if before is None:
                return
            originals = _originals(connection, new)
            rows = [item_values(item, originals.get(item.index)) for item in new]
            insert_many_new(connection, items, rows, "job_id", "index")
            _count_hosts(connection, new[0].job_id, [item.ref for item in new if item.index >= before])
            if originals:
                copy_to_duplicates(connection, new[0].job_id, items.c.index.in_(originals))

    def pending(self, job_id: int, start: int, stop: int) -> list[Item]:
        """Return the items with indexes from ``start`` to below ``stop`` that are to be labelled still.

        Those with the same reference as an earlier item are not: they take its result.
        """
        span = items.c.index.between(start, stop - 1)
        recorded = select(items.c.job_id, items.c.index, items.c.ref, items.c.custom_id)
        recorded = recorded.where(items.c.job_id == job_id, span, items.c.original.is_(None))
        finished = select(results.c.index)
        finished = finished.where(results.c.job_id == job_id, results.c.index.between(start, stop - 1))
        # Two walks along an index: for a join, Postgres may compare every item with every result.
        with self._database.read() as connection:
            done = set(connection.execute(finished).scalars())
            rows = connection.execute(recorded.order_by(items.c.index)).mappings()
            return [item_from(row) for row in rows if row["index"] not in done]


def _extend(connection: Connection, job_id: int, submitted: int, digest: str) -> int | None:
    """Count new items, first of all: two submissions of one job must take turns.

    Returns how many there were before, or None if none are missing: of two submissions, one may have recorded
    the whole job.
    """
    known = select(jobs.c.submitted).where(jobs.c.id == job_id)
    before: int = connection.execute(known.with_for_update()).scalar_one()
    later = jobs.c.submitted < submitted
    change = update(jobs).where(jobs.c.id == job_id, jobs.c.state.in_(_TAKING), jobs.c.recorded.is_(False))
    change = change.values(
        submitted=case((later, submitted), else_=jobs.c.submitted),
        references_digest=case((later, digest), else_=jobs.c.references_digest),
    )
    if connection.execute(change).rowcount == 1:
        return before
    if before < submitted:
        raise UsageError(Code.JOB_NOT_READY, f"job {job_id} takes no more images: it was ended meanwhile")
    return None


def _count_hosts(connection: Connection, job_id: int, refs: Sequence[str]) -> None:
    """Note how many items of each host there are."""
    counts = Counter(host for ref in refs if (host := host_of(ref)))
    rows = [{"job_id": job_id, "host": host, "items": count} for host, count in sorted(counts.items())]
    if rows:
        statement = insert_or_add(connection, job_hosts, ("job_id", "host"), "items")
        connection.execute(statement, rows)


def _originals(connection: Connection, new: Sequence[Item]) -> dict[int, int]:
    """Return, by index, the first item with the same reference, for those that are not the first."""
    firsts: dict[str, int] = {}
    for item in new:
        firsts.setdefault(item.ref, item.index)
    firsts |= _recorded(connection, new[0].job_id, new[0].index, list(firsts))
    return {item.index: firsts[item.ref] for item in new if firsts[item.ref] != item.index}


def _recorded(connection: Connection, job_id: int, before: int, refs: list[str]) -> dict[str, int]:
    """Return the index of each of these references among the earlier items, where it is there."""
    hashes = [ref_hash(ref) for ref in refs]
    query = select(items.c.ref, items.c.index).where(
        items.c.job_id == job_id,
        items.c.ref_hash.in_(hashes),
        items.c.index < before,
        items.c.original.is_(None),
    )
    wanted = set(refs)
    return {ref: index for ref, index in connection.execute(query) if ref in wanted}


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


class PoisonTrials:
    """The statements on suspects: how often a worker began with such an item and never came back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin_trial(self, message: Message, limit: int) -> bool:
        """Note that a worker now tries an item alone; tell whether it may: fewer than ``limit`` died so."""
        mine = (suspects.c.job_id == message.job_id) & (suspects.c.index == message.index)
        with self._database.write() as connection:
            values = {"job_id": message.job_id, "index": message.index, "trials": 0}
            connection.execute(insert_new(connection, suspects, "job_id", "index"), values)
            trials: int = connection.execute(
                select(suspects.c.trials).where(mine).with_for_update()
            ).scalar_one()
            if trials >= limit:
                return False
            connection.execute(suspects.update().where(mine).values(trials=trials + 1))
            return True

    def end_trial(self, message: Message) -> None:
        """Note that the worker survived the item."""
        mine = (suspects.c.job_id == message.job_id) & (suspects.c.index == message.index)
        with self._database.write() as connection:
            connection.execute(delete(suspects).where(mine))
