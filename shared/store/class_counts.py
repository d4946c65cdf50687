"""How many results of a job are of which class at best: counted in an index that holds little else."""

from dataclasses import dataclass

from sqlalchemy import func, select

from shared.store.aggregates import whole
from shared.store.database import Database
from shared.store.schema import results


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """The commonest best classes, each with its count, and how many classes and images there are in all."""

    most: tuple[tuple[int, int], ...] = ()
    classes: int = 0
    count: int = 0


class ClassCounter:
    """The statement that counts classes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, job_id: int, top: int) -> ClassCounts:
        """Count the images of a job by their best class, and return the ``top`` commonest.

        Every label is counted, but no row of a result is read for it: that takes a tenth of a summary.
        """
        count = func.count()
        query = select(results.c.top_class, count, count.over(), whole(func.sum(count).over())).where(
            results.c.job_id == job_id, results.c.top_class.is_not(None)
        )
        query = query.group_by(results.c.top_class).order_by(count.desc(), results.c.top_class).limit(top)
        with self._database.read_at_length() as connection:
            rows = connection.execute(query).all()
        return ClassCounts(tuple((row[0], row[1]) for row in rows), *rows[0][2:]) if rows else ClassCounts()
