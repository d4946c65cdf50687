"""Take the rows of deleted jobs away, a range at a time."""

from sqlalchemy import delete, select

from shared.store.database import Database
from shared.store.schema import items, jobs, progress, results, suspects
from shared.store.schema_api import malformed, upload_parts, uploads, webhooks
from shared.store.schema_hosts import job_hosts, waiting

#: What has a row an item, and what has few rows a job.
_BY_ITEM = (results, items, suspects, waiting)
_BY_JOB = (progress, job_hosts, upload_parts, uploads, malformed, webhooks)


class Removal:
    """The statements that take a deleted job's rows away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def remove_items(self, job_id: int, start: int, stop: int) -> None:
        """Take away what is stored of a range of indexes."""
        with self._database.write() as connection:
            for table in _BY_ITEM:
                span = table.c.index.between(start, stop - 1)
                connection.execute(delete(table).where(table.c.job_id == job_id, span))

    def remove_job(self, job_id: int) -> bool:
        """Take away the rest and the job itself; tell whether it is gone.

        It stays while results are there: a worker that had an item in hand may have stored one meanwhile.
        """
        late = select(results.c.index).where(results.c.job_id == job_id).limit(1)
        with self._database.write() as connection:
            if connection.execute(late).first():
                return False
            for table in _BY_JOB:
                connection.execute(delete(table).where(table.c.job_id == job_id))
            connection.execute(delete(jobs).where(jobs.c.id == job_id))
            return True
