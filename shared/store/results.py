"""Results: one per item, final, and counted when they are stored."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, literal, null, select, update

from shared.errors import Code
from shared.items import Item, ItemState, Result, now
from shared.store.database import Database
from shared.store.deny_list import Key, without_denied
from shared.store.items import copy_to_some_duplicates
from shared.store.jobs import hold_jobs
from shared.store.mapping import code_from, item_from, result_from, result_values
from shared.store.schema import items, jobs, poison_trials, progress, results
from shared.store.schema_hosts import retries, waiting
from shared.store.statements import SAME_ITEM, add_counts, add_progress, insert_counted, insert_new
from shared.store.stored_responses import save_validators
from shared.store.thumbnails import remove_unused_thumbnails, save_thumbnails


@dataclass(frozen=True, slots=True)
class Tally:
    """The number of a job's items with this state and code."""

    state: ItemState
    code: Code | None
    count: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """An item and its result."""

    item: Item
    result: Result


#: Joins results and items.
#: Built once: building it takes longer than running it.
_LABELLED = select(results).where(
    results.c.sha256.in_(bindparam("digests", expanding=True)),
    results.c.model_id == bindparam("model"),
    results.c.reused.is_(False),
    results.c.state == ItemState.SUCCEEDED,
)
_ORIGINS = _LABELLED.with_only_columns(results.c.sha256)
_ORIGINS = _ORIGINS.with_for_update(read=True, key_share=True, skip_locked=True)
_COUNTED = (results.c.job_id, results.c.state, results.c.code)


class Results:
    """The statements on results and their counts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, new: Iterable[Result]) -> set[Key]:
        """Store results and count them, in one transaction; existing results are kept.

        Duplicates in the job get the same result: some thousands of them at once, the rest by
        ``Duplicates.backfill``. Denied images are stored as forgotten.

        Results of deleted jobs are not stored, nor those that reuse labels which were deleted meanwhile.
        Returns the jobs and indexes of the latter: their images are to be labelled again.
        """
        # Of two deliveries of an item, the one that reuses the labels of the other rests on it: that wins.
        ordered = sorted(new, key=lambda result: not result.reused)
        by_key = {(result.job_id, result.index): result for result in ordered}
        with self._database.write() as connection:
            present = hold_jobs(connection, {job_id for job_id, _ in by_key})
            by_key = {key: result for key, result in by_key.items() if key[0] in present}
            by_key = without_denied(connection, by_key)
            stored = _insert_results(connection, by_key)
            unfounded = _unfounded(connection, stored)
            _take_back(connection, unfounded)
            added = [result for key, result in stored.items() if key not in unfounded]
            add_progress(connection, ((result.job_id, result.state, result.code) for result in added))
            _end_retries(connection, added)
            save_validators(connection, added)
            for job_id in sorted({result.job_id for result in added}):
                indexes = [result.index for result in added if result.job_id == job_id]
                copy_to_some_duplicates(connection, job_id, indexes)
            save_thumbnails(connection, added)
            return unfounded

    def tallies(self, job_id: int) -> list[Tally]:
        """Return the number of items by state and code."""
        total = func.sum(progress.c.count)
        query = select(progress.c.state, progress.c.code, total).where(progress.c.job_id == job_id)
        query = query.group_by(progress.c.state, progress.c.code).having(total > 0)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [Tally(ItemState(state), code_from(code), int(count)) for state, code, count in rows]

    def compact(self, job_id: int) -> None:
        """Merge the counts of a job into one row per state and code, so that reading them stays cheap."""
        removal = delete(progress).where(progress.c.job_id == job_id).returning(progress)
        with self._database.write() as connection:
            counts: Counter[tuple[int, str, str | None]] = Counter()
            for row in connection.execute(removal).mappings():
                counts[row["job_id"], row["state"], row["code"]] += row["count"]
            add_counts(connection, {key: count for key, count in counts.items() if count})

    def outcomes(self, job_id: int, after: int, limit: int) -> list[Outcome]:
        """Return the next items that have a result, by index."""
        query = (
            select(results, items.c.ref, items.c.custom_id)
            .join(items, SAME_ITEM)
            # Repeated for the items: in a merge join, Postgres would begin with the job's first item.
            .where(results.c.job_id == job_id, results.c.index > after, items.c.index > after)
            .order_by(results.c.index)
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).mappings()
            return [Outcome(item_from(row), result_from(row)) for row in rows]

    def labelled(self, model_id: int, digests: Collection[str]) -> dict[str, Result]:
        """Return the results of images under a model, by the SHA-256 of their bytes."""
        values = {"model": model_id, "digests": [bytes.fromhex(digest) for digest in digests]}
        with self._database.read() as connection:
            rows = connection.execute(_LABELLED, values).mappings()
            return {row["sha256"].hex(): result_from(row) for row in rows}

    def cancel_pending(self, job_id: int, start: int, stop: int) -> None:
        """Cancel the items of a range of indexes that have no result."""
        row = {
            **dict.fromkeys((column.name for column in results.c), null()),
            "job_id": items.c.job_id,
            "index": items.c.index,
            "state": literal(ItemState.CANCELLED.value),
            "detail": literal(""),
            "model_id": jobs.c.model_id,
            "class_ids": literal((), results.c.class_ids.type),
            "scores": literal((), results.c.scores.type),
            "attempts": literal(0),
            "finished_at": literal(now()),
            "reused": literal(False),
        }
        source = (
            select(*row.values())
            .join(jobs, jobs.c.id == items.c.job_id)
            .where(items.c.job_id == job_id, items.c.index.between(start, stop - 1))
        )
        with self._database.write() as connection:
            insert_counted(connection, list(row), source)
            for table in (waiting, retries):
                span = table.c.index.between(start, stop - 1)
                connection.execute(delete(table).where(table.c.job_id == job_id, span))

    def forget_failed(self, job_id: int, codes: Collection[Code], start: int, stop: int) -> int:
        """Remove the failed results of a range of indexes that have one of these codes; return how many."""
        span = results.c.index.between(start, stop - 1)
        removal = delete(results).where(results.c.job_id == job_id, span, results.c.code.in_(codes))
        with self._database.write() as connection:
            rows = connection.execute(removal.returning(*_COUNTED, results.c.sha256)).all()
            counts = Counter((row.job_id, row.state, row.code) for row in rows)
            add_counts(connection, {key: -count for key, count in counts.items()})
            of_range = (poison_trials.c.job_id == job_id) & poison_trials.c.index.between(start, stop - 1)
            connection.execute(delete(poison_trials).where(of_range))
            remove_unused_thumbnails(connection, {row.sha256 for row in rows if row.sha256})
            return counts.total()

    def skip_placeholders(self, job_id: int, urls: int) -> int:
        """Skip placeholders: images whose bytes are behind this many URLs of one host; return how many.

        They can be recognized only after many URLs led to them, so this is called once all results of a job
        exist. Calling it again changes nothing.
        """
        labelled = (results.c.job_id == job_id) & (results.c.state == ItemState.SUCCEEDED)
        shared = select(results.c.host, results.c.sha256).where(labelled, results.c.host.is_not(None))
        shared = shared.group_by(results.c.host, results.c.sha256).having(func.count() >= urls)
        with self._database.read() as connection:
            found = connection.execute(shared).all()
        return sum(self._skip_placeholder(job_id, labelled, host, sha256, urls) for host, sha256 in found)

    def _skip_placeholder(
        self, job_id: int, labelled: ColumnElement[bool], host: str, sha256: bytes, urls: int
    ) -> int:
        same = labelled & (results.c.host == host) & (results.c.sha256 == sha256)
        originals = select(func.count()).select_from(results).join(items, SAME_ITEM)
        originals = originals.where(same, items.c.original.is_(None))
        nothing: dict[str, Any] = {"class_ids": (), "scores": (), "top_class": None, "top_score": None}
        change = {"state": ItemState.SKIPPED, "code": Code.PLACEHOLDER, **nothing}
        with self._database.write() as connection:
            if connection.execute(originals).scalar_one() < urls:
                return 0
            count = connection.execute(update(results).where(same).values(change)).rowcount
            moved = {(job_id, ItemState.SUCCEEDED, None): -count}
            add_counts(connection, moved | {(job_id, ItemState.SKIPPED, Code.PLACEHOLDER): count})
            return count


def _end_retries(connection: Connection, added: Sequence[Result]) -> None:
    """Forget that items were to be attempted again, where an attempt led to a result."""
    place = (retries.c.job_id == bindparam("job")) & (retries.c.index == bindparam("place"))
    places = [{"job": one.job_id, "place": one.index} for one in added if one.attempts > 1]
    if places:
        connection.execute(delete(retries).where(place), places)


def _insert_results(connection: Connection, by_key: Mapping[Key, Result]) -> dict[Key, Result]:
    """Store results, and return those whose items had none."""
    if not by_key:
        return {}
    statement = insert_new(connection, results, "job_id", "index")
    statement = statement.returning(results.c.job_id, results.c.index)
    # In key order: two workers with the same items must not deadlock.
    values = [result_values(by_key[key]) for key in sorted(by_key)]
    return {(row[0], row[1]): by_key[row[0], row[1]] for row in connection.execute(statement, values)}


def _unfounded(connection: Connection, added: Mapping[Key, Result]) -> set[Key]:
    """Return the new results that reuse labels of which no result is the origin any more.

    The origins of all others stay until this transaction ends. One that is just being deleted is not waited
    for: who deletes it may be waiting for another one.
    """
    reusing = {key: result for key, result in added.items() if result.reused and result.evidence.sha256}
    founded: set[tuple[int, str]] = set()
    for model_id in {result.model_id for result in reusing.values()}:
        digests = {str(one.evidence.sha256) for one in reusing.values() if one.model_id == model_id}
        values = {"model": model_id, "digests": [bytes.fromhex(digest) for digest in sorted(digests)]}
        founded |= {(model_id, digest.hex()) for digest in connection.execute(_ORIGINS, values).scalars()}
    return {key for key, one in reusing.items() if (one.model_id, str(one.evidence.sha256)) not in founded}


def _take_back(connection: Connection, keys: Collection[Key]) -> None:
    """Delete results that this transaction has stored."""
    place = (results.c.job_id == bindparam("job")) & (results.c.index == bindparam("place"))
    if keys:
        places = [{"job": job_id, "place": index} for job_id, index in sorted(keys)]
        connection.execute(delete(results).where(place), places)
