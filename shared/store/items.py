"""Items: the references of a job in order, their duplicates, and the trials of poison messages.

A reference can occur millions of times in a job, so one transaction handles a limited number of duplicates.
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
from shared.store.schema import items, jobs, poison_trials, results
from shared.store.schema_hosts import job_hosts, waiting
from shared.store.statements import insert_counted, insert_many_new, insert_new, insert_or_add

_TAKING = (JobState.SUBMITTING, JobState.PAUSED)


class Items:
    """The statements on items."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: Sequence[Item], digest: str = "") -> None:
        """Record the next items of a job, by index; existing ones are unchanged.

        ``digest`` is that of all references of the job up to the last of these. An item with the same
        reference as an earlier one is a duplicate: it is not published, and gets that item's result. Raises
        ``UsageError(job_not_ready)`` if the job accepts no more items.
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
        """Return the items without a result with indexes from ``start`` to below ``stop``.

        Duplicates are left out: they get the result of the first item with their reference. So are items that
        wait for a host: they are taken from there, and would be fetched twice.
        """
        span = items.c.index.between(start, stop - 1)
        recorded = select(items.c.job_id, items.c.index, items.c.ref, items.c.custom_id)
        recorded = recorded.where(items.c.job_id == job_id, span, items.c.original.is_(None))
        # Index scans: in a join, Postgres may compare every item with every result.
        with self._database.read() as connection:
            done = set[int]()
            for table in (waiting, results):  # in this order: what stops waiting meanwhile has a result
                those = select(table.c.index).where(table.c.job_id == job_id)
                done |= set(connection.execute(those.where(table.c.index.between(start, stop - 1))).scalars())
            rows = connection.execute(recorded.order_by(items.c.index)).mappings()
            return [item_from(row) for row in rows if row["index"] not in done]


def _extend(connection: Connection, job_id: int, submitted: int, digest: str) -> int | None:
    """Count new items, before anything else: this locks the job against a second submission.

    Returns how many there were before, or None if none are missing because another submission has recorded
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
        raise UsageError(Code.JOB_NOT_READY, f"job {job_id} accepts no more images: it has ended")
    return None


def _count_hosts(connection: Connection, job_id: int, refs: Sequence[str]) -> None:
    """Count the items of each host."""
    counts = Counter(host for ref in refs if (host := host_of(ref)))
    rows = [{"job_id": job_id, "host": host, "items": count} for host, count in sorted(counts.items())]
    if rows:
        statement = insert_or_add(connection, job_hosts, ("job_id", "host"), "items")
        connection.execute(statement, rows)


def _originals(connection: Connection, new: Sequence[Item]) -> dict[int, int]:
    """Return, for each duplicate, the index of the first item with its reference."""
    firsts: dict[str, int] = {}
    for item in new:
        firsts.setdefault(item.ref, item.index)
    firsts |= _recorded(connection, new[0].job_id, new[0].index, list(firsts))
    return {item.index: firsts[item.ref] for item in new if firsts[item.ref] != item.index}


def _recorded(connection: Connection, job_id: int, before: int, refs: list[str]) -> dict[str, int]:
    """Return the indexes of those of these references that earlier items have."""
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
#: Indexes of an original and of one of its duplicates; no duplicate has index 0.
_Place = tuple[int, int]
#: Larger than any index.
_NO_END = 2**63 - 1


class Duplicates:
    """The statements on items with the same reference."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def backfill(self, job_id: int) -> None:
        """Give duplicates the result of their original, where that was missed.

        A duplicate recorded at the moment in which its original's result is stored can miss it; so do those
        beyond the limit of one transaction.
        """
        start: _Place | None = (0, 0)
        while start is not None:
            with self._database.write() as connection:
                start = _backfill_some(connection, job_id, start)


def copy_to_duplicates(connection: Connection, job_id: int, which: ColumnElement[bool]) -> None:
    """Copy the results of originals to their duplicates that have none."""
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
    """Copy these items' results to duplicates, as many as a transaction may; backfill does the rest."""
    room, chosen = AT_ONCE, []
    for original, count in _counted(connection, job_id, originals):
        if 0 < count <= room:
            chosen.append(original)
            room -= count
    if chosen:
        copy_to_duplicates(connection, job_id, items.c.original.in_(chosen))


def _counted(connection: Connection, job_id: int, originals: Sequence[int]) -> Sequence[Any]:
    """Return the number of duplicates of each of these items, up to one above the limit."""
    same = items.alias()
    # Correlated per item: for many items at once, Postgres may scan all duplicates of the job.
    found = select(same.c.index).where(same.c.job_id == job_id, same.c.original == items.c.index)
    some = found.limit(AT_ONCE + 1).correlate(items).subquery()
    count = select(func.count()).select_from(some).scalar_subquery()
    query = select(items.c.index, count).where(items.c.job_id == job_id, items.c.index.in_(originals))
    return connection.execute(query.order_by(items.c.index)).all()


def _backfill_some(connection: Connection, job_id: int, start: _Place) -> _Place | None:
    """Backfill some duplicates of one item, or all of several, and return where to continue."""
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
    """Return the first of these duplicates beyond the limit of a transaction, if any."""
    place = (items.c.original, items.c.index)
    query = select(*place).where(items.c.job_id == job_id, items.c.original.is_not(None), those)
    row = connection.execute(query.order_by(*place).offset(AT_ONCE).limit(1)).one_or_none()
    return None if row is None else (row[0], row[1])


def _of_several(start: int, stop: int) -> ColumnElement[bool]:
    # Repeated for the results: otherwise Postgres would scan all of the job's.
    return items.c.original.between(start, stop - 1) & results.c.index.between(start, stop - 1)


class PoisonTrials:
    """The statements on trials of redelivered items: how often a worker began one and died."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin_trial(self, message: Message, limit: int) -> bool:
        """Note that a worker begins an item alone; tell whether it may: fewer than ``limit`` died of it."""
        mine = (poison_trials.c.job_id == message.job_id) & (poison_trials.c.index == message.index)
        with self._database.write() as connection:
            values = {"job_id": message.job_id, "index": message.index, "trials": 0}
            connection.execute(insert_new(connection, poison_trials, "job_id", "index"), values)
            trials: int = connection.execute(
                select(poison_trials.c.trials).where(mine).with_for_update()
            ).scalar_one()
            if trials >= limit:
                return False
            connection.execute(poison_trials.update().where(mine).values(trials=trials + 1))
            return True

    def end_trial(self, message: Message) -> None:
        """Note that the worker survived the item."""
        mine = (poison_trials.c.job_id == message.job_id) & (poison_trials.c.index == message.index)
        with self._database.write() as connection:
            connection.execute(delete(poison_trials).where(mine))
