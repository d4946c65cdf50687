"""Items: the references of a job, each published once however often it occurs."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection, case, select, update

from shared.errors import Code, UsageError
from shared.hosts import host_of
from shared.items import Item, JobState
from shared.store.database import Database
from shared.store.duplicates import copy_to_duplicates
from shared.store.mapping import item_from, item_values, ref_hash
from shared.store.schema import items, jobs, results
from shared.store.schema_hosts import job_hosts
from shared.store.statements import insert_many_new, insert_or_add

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
