"""Workers: which were seen lately, so that people are told when none is running."""

from sqlalchemy import Connection, delete, or_, select

from shared.store.database import Database
from shared.store.schema_hosts import workers
from shared.store.statements import time_now, upsert

#: How long ago a worker may have been seen to count as running, and until it is forgotten, in seconds.
_SEEN, _FORGOTTEN = 60.0, 24 * 3600.0


class Workers:
    """The statements on workers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, name: str, job_id: int | None) -> None:
        """Note that a worker runs, for all jobs or only for this one."""
        with self._database.write() as connection:
            now = time_now(connection)
            values = {"name": name, "job_id": job_id, "seen_at": now}
            connection.execute(upsert(connection, workers, ("name",), ("job_id", "seen_at")), values)
            connection.execute(delete(workers).where(workers.c.seen_at < now - _FORGOTTEN))

    def remove(self, name: str) -> None:
        """Note that a worker stopped."""
        with self._database.write() as connection:
            connection.execute(delete(workers).where(workers.c.name == name))

    def is_seen(self, job_id: int) -> bool:
        """Tell whether a worker was seen lately that works for this job."""
        with self._database.read() as connection:
            return worker_is_seen(connection, job_id)


def worker_is_seen(connection: Connection, job_id: int) -> bool:
    """Tell whether a worker for this job was seen lately, as seen by this connection."""
    now = time_now(connection)
    # A time in the future is of a clock that was set back since: it says nothing.
    lately = workers.c.seen_at.between(now - _SEEN, now + _SEEN)
    query = select(workers.c.name).where(lately, or_(workers.c.job_id.is_(None), workers.c.job_id == job_id))
    return connection.execute(query.limit(1)).first() is not None
