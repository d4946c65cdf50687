"""What is known of jobs, items and results: the only home of SQL statements."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from shared.errors import Code
from shared.items import Item, ItemState, JobState, Result, now
from shared.store.database import Database
from shared.store.mapping import code_from, item_from, item_values, result_from, result_values
from shared.store.schema import items, jobs, models, progress, results


@dataclass(frozen=True, slots=True)
class Job:
    """One submission. ``submitted`` counts the items recorded so far, all of them unless ``submitting``."""

    id: int
    state: JobState
    model_id: int
    submitted: int


@dataclass(frozen=True, slots=True)
class RecordedModel:
    """A model as results name it: its labels are (wordnet_id, name), by class id."""

    id: int
    name: str
    version: str
    labels: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many items of a job ended in this state with this code."""

    state: ItemState
    code: Code | None
    count: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """An item and its result."""

    item: Item
    result: Result


class Store:
    """The statements on one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: Where it is, without a password.
        self.name = database.name

    def record_model(self, name: str, version: str, labels: Sequence[tuple[str, str]]) -> RecordedModel:
        """Return this model as recorded, now or before."""
        values = {"name": name, "version": version, "labels": [list(label) for label in labels]}
        with self._database.write() as connection:
            connection.execute(_insert_new(connection, models, "name", "version"), values)
            same = (models.c.name == name) & (models.c.version == version)
            return RecordedModel(*connection.execute(select(models).where(same)).one())

    def open_job(self, key: str, model_id: int) -> Job:
        """Return the job of this key as it stands, or a new one."""
        values = {
            "key": key,
            "state": JobState.SUBMITTING,
            "model_id": model_id,
            "submitted": 0,
            "created_at": now(),
        }
        with self._database.write() as connection:
            connection.execute(_insert_new(connection, jobs, "key"), values)
            return _job(connection.execute(_JOB.where(jobs.c.key == key)).mappings().one())

    def job(self, job_id: int) -> Job:
        """Return a job as it stands."""
        with self._database.read() as connection:
            return _job(connection.execute(_JOB.where(jobs.c.id == job_id)).mappings().one())

    def add_items(self, new: Sequence[Item]) -> None:
        """Record the next items of a job, by index; what is there already stays as it is."""
        job_id, submitted = new[0].job_id, new[-1].index + 1
        with self._database.write() as connection:
            statement = _insert_new(connection, items, "job_id", "index")
            connection.execute(statement, [item_values(item) for item in new])
            change = _set_job(job_id, submitted=submitted)
            connection.execute(change.where(jobs.c.submitted < submitted))

    def seal(self, job_id: int) -> None:
        """Say that all items of a job are recorded."""
        with self._database.write() as connection:
            submitting = jobs.c.state == JobState.SUBMITTING
            connection.execute(_set_job(job_id, state=JobState.RUNNING).where(submitting))

    def pending(self, job_id: int, after: int, limit: int) -> list[Item]:
        """Return the next items without a result, by index."""
        same = (results.c.job_id == items.c.job_id) & (results.c.index == items.c.index)
        query = (
            select(items)
            .outerjoin(results, same)
            .where(items.c.job_id == job_id, items.c.index > after, results.c.index.is_(None))
            .order_by(items.c.index)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [item_from(row) for row in connection.execute(query).mappings()]

    def save(self, new: Iterable[Result]) -> None:
        """Store results and count them, in one transaction; an item that has a result keeps it."""
        by_key = {(result.job_id, result.index): result for result in new}
        with self._database.write() as connection:
            statement = _insert_new(connection, results, "job_id", "index")
            statement = statement.returning(results.c.job_id, results.c.index)
            # In the order of keys: two workers that hold the same items must not wait for each other.
            values = [result_values(by_key[key]) for key in sorted(by_key)]
            added = [by_key[row[0], row[1]] for row in connection.execute(statement, values)]
            counts = Counter((result.job_id, result.state, result.code) for result in added)
            _add_progress(connection, counts)

    def tallies(self, job_id: int) -> list[Tally]:
        """Return how many items ended in which way so far."""
        total = func.sum(progress.c.count)
        query = select(progress.c.state, progress.c.code, total).where(progress.c.job_id == job_id)
        with self._database.read() as connection:
            rows = connection.execute(query.group_by(progress.c.state, progress.c.code)).all()
        return [Tally(ItemState(state), code_from(code), int(count)) for state, code, count in rows]

    def fold(self, job_id: int) -> None:
        """Put the progress of a job together into one row a kind, so that reading it stays cheap."""
        removal = delete(progress).where(progress.c.job_id == job_id).returning(progress)
        with self._database.write() as connection:
            counts: Counter[tuple[int, str, str | None]] = Counter()
            for row in connection.execute(removal).mappings():
                counts[row["job_id"], row["state"], row["code"]] += row["count"]
            _add_progress(connection, counts)

    def complete(self, job_id: int) -> None:
        """Say that every item of a job has its result."""
        running = jobs.c.state == JobState.RUNNING
        change = _set_job(job_id, state=JobState.COMPLETED, finished_at=now())
        with self._database.write() as connection:
            connection.execute(change.where(running))

    def release_key(self, job_id: int) -> None:
        """Say that a job was delivered: the next one with its key is a new one."""
        with self._database.write() as connection:
            connection.execute(_set_job(job_id, key=None))

    def outcomes(self, job_id: int, after: int, limit: int) -> list[Outcome]:
        """Return the next items that have a result, by index."""
        same = (results.c.job_id == items.c.job_id) & (results.c.index == items.c.index)
        query = (
            select(results, items.c.ref, items.c.custom_id)
            .join(items, same)
            .where(results.c.job_id == job_id, results.c.index > after)
            .order_by(results.c.index)
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).mappings()
            return [Outcome(item_from(row), result_from(row)) for row in rows]


_JOB = select(jobs.c.id, jobs.c.state, jobs.c.model_id, jobs.c.submitted)


def _insert_new(connection: Connection, table: Any, *key: str) -> Any:
    """Return an INSERT that leaves a row alone that is there already."""
    # The other database's module would bring all its drivers along.
    dialect = import_module(f"sqlalchemy.dialects.{connection.dialect.name}")
    return dialect.insert(table).on_conflict_do_nothing(index_elements=key)


def _set_job(job_id: int, **values: object) -> Any:
    return update(jobs).where(jobs.c.id == job_id).values(**values)


def _add_progress(connection: Connection, counts: Counter[Any]) -> None:
    rows = [
        {"job_id": job_id, "state": state, "code": code, "count": count}
        for (job_id, state, code), count in counts.items()
    ]
    if rows:
        connection.execute(insert(progress), rows)


def _job(row: RowMapping) -> Job:
    return Job(row["id"], JobState(row["state"]), row["model_id"], row["submitted"])
