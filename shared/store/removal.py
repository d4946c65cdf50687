"""Take the rows of deleted jobs away, a range at a time."""

from sqlalchemy import Delete, Table, delete, select

from shared.store.database import Database
from shared.store.schema import items, jobs, progress, results, suspects
from shared.store.schema_api import malformed, upload_parts, uploads, webhooks
from shared.store.schema_hosts import job_hosts, waiting
from shared.store.thumbnails import remove_unused_thumbnails

#: What else has a row an item, and what has few rows a job.
_BY_ITEM = (items, suspects, waiting)
_BY_JOB = (progress, job_hosts, upload_parts, uploads, malformed, webhooks)


class JobRemoval:
    """The statements that take a deleted job's rows away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def remove_items(self, job_id: int, start: int, stop: int) -> None:
        """Take away what is stored of a range of indexes, and the thumbnails that no other item has."""
        with self._database.write() as connection:
            removal = _removal(results, job_id, start, stop).returning(results.c.sha256)
            digests = {digest for digest in connection.execute(removal).scalars() if digest}
            for table in _BY_ITEM:
                connection.execute(_removal(table, job_id, start, stop))
            remove_unused_thumbnails(connection, digests)

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


def _removal(table: Table, job_id: int, start: int, stop: int) -> Delete:
    span = table.c.index.between(start, stop - 1)
    return delete(table).where(table.c.job_id == job_id, span)
