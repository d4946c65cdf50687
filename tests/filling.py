"""Make a job with many results: a few are stored as workers do, the rest are copied from them."""

from sqlalchemy import func, insert, literal_column, select, true, update

from shared.store.database import Database
from shared.store.schema import items, jobs, progress, results


def multiply(database: Database, job_id: int, times: int) -> None:
    """Copy the items of a job, and their results, until there are so many times as many, and end it."""
    with database.write() as connection:
        count = connection.execute(select(func.count()).where(items.c.job_id == job_id)).scalar_one()
        start = select(literal_column("1").label("round")).cte("rounds", recursive=True)
        rounds = start.union_all(select(start.c.round + 1).where(start.c.round < times - 1))
        for table in (items, results):
            moved = [
                (column + count * rounds.c.round).label("index") if column.name == "index" else column
                for column in table.c
            ]
            copies = select(*moved).join(rounds, true())
            copies = copies.where(table.c.job_id == job_id, table.c.index < count)
            connection.execute(insert(table).from_select([column.name for column in table.c], copies))
        over = {"submitted": count * times, "sealed": True, "state": "completed"}
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(over))
        mine = update(progress).where(progress.c.job_id == job_id)
        connection.execute(mine.values(count=progress.c["count"] * times))
