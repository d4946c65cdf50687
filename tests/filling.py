"""Make a job with many results: a few are stored as workers do, the rest are copied from them."""

from typing import Any

from sqlalchemy import Connection, Table, func, insert, literal, select, true, update

from shared.store.database import Database
from shared.store.schema import items, jobs, progress, results

#: Copies that one statement makes: no statement may take long.
_COPIES = 50


def multiply(database: Database, job_id: int, times: int) -> None:
    """Copy the items of a job, and their results, until there are so many times as many, and end it."""
    with database.write() as connection:
        count = connection.execute(select(func.count()).where(items.c.job_id == job_id)).scalar_one()
        for first in range(1, times, _COPIES):
            for table in (items, results):
                _copy(connection, table, job_id, count, range(first, min(times, first + _COPIES)))
        over = {"submitted": count * times, "recorded": True, "state": "completed"}
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(over))
        mine = update(progress).where(progress.c.job_id == job_id)
        connection.execute(mine.values(count=progress.c["count"] * times))


def _copy(connection: Connection, table: Table, job_id: int, count: int, rounds: range) -> None:
    start = select(literal(rounds.start).label("round")).cte("rounds", recursive=True)
    numbers = start.union_all(select(start.c.round + 1).where(start.c.round < rounds.stop - 1))
    moved: dict[str, Any] = {column.name: column for column in table.c}
    moved["index"] = table.c.index + count * numbers.c.round
    copies = select(*moved.values()).join(numbers, true())
    copies = copies.where(table.c.job_id == job_id, table.c.index < count)
    connection.execute(insert(table).from_select(list(moved), copies))
