"""Uploaded lists: stored with their job until its items are recorded, so that nothing is lost."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, case, delete, func, insert, select, update

from shared.items import JobState, now
from shared.job_status import MalformedLine
from shared.store.database import Database
from shared.store.jobs import Job, job_of_key, read_job
from shared.store.keys import charge
from shared.store.schema import jobs
from shared.store.schema_api import api_keys, malformed, upload_parts, uploads
from shared.store.statements import clock, insert_new, is_free
from shared.store.webhooks import add_webhook


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to create; ``key`` identifies the request, and must not come with another ``request_digest``.

    The ending of ``list_name`` is the list's format; ``webhook`` is a URL and a secret.
    """

    key: str
    request_digest: str
    model_id: int
    list_name: str
    ref_column: str = "url"
    id_column: str | None = None
    name: str | None = None
    max_failure_rate: float | None = None
    priority: int = 0
    key_id: int | None = None
    webhook: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """A list whose items are not all recorded; ``charged`` if they already count against the quota.

    ``crashes`` is how many recorders have died since they last recorded an item of it.
    """

    job_id: int
    key_id: int | None
    name: str
    ref_column: str
    id_column: str | None
    charged: bool
    crashes: int


class Uploads:
    """The statements on uploaded lists."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def accept(self, new: NewJob, parts: Iterable[bytes]) -> tuple[Job, bool]:
        """Store a job with its list, both or neither; tell whether the job is new or its key existed."""
        values = {
            **{name: getattr(new, name) for name in _KEPT},
            "state": JobState.SUBMITTING,
            "submitted": 0,
            "created_at": now(),
        }
        with self._database.write() as connection:
            statement = insert_new(connection, jobs, "key").returning(jobs.c.id)
            job_id = connection.execute(statement, values).scalar_one_or_none()
            if job_id is not None:
                _store_list(connection, job_id, new, parts)
            return job_of_key(connection, new.key), job_id is not None

    def waiting(self, but: Collection[int] = ()) -> list[Upload]:
        """Return the oldest list of each key that no process is recording, except those of some jobs."""
        with self._database.read() as connection:
            free = is_free(uploads.c, clock(connection), _LEASES)
            oldest = select(func.min(uploads.c.job_id)).join(jobs, jobs.c.id == uploads.c.job_id)
            oldest = oldest.where(free, uploads.c.job_id.not_in(but)).group_by(jobs.c.key_id)
            query = _UPLOAD.where(uploads.c.job_id.in_(oldest)).order_by(uploads.c.job_id)
            return [Upload(**row) for row in connection.execute(query).mappings()]

    def get(self, job_id: int) -> Upload | None:
        """Return a list, unless it is recorded."""
        with self._database.read() as connection:
            row = connection.execute(_UPLOAD.where(uploads.c.job_id == job_id)).mappings().one_or_none()
            return None if row is None else Upload(**row)

    def lease(self, job_id: int, holder: str, seconds: float) -> bool:
        """Lease a list, or renew the lease, so that nobody else records it; tell whether it succeeded.

        A holder that never released it has died, and is counted.
        """
        with self._database.write() as connection:
            time = clock(connection)
            free = is_free(uploads.c, time, seconds, holder)
            died = case((uploads.c.holder != holder, 1), else_=0)
            change = update(uploads).where(uploads.c.job_id == job_id, free)
            values = {"holder": holder, "held_until": time + seconds, "crashes": uploads.c.crashes + died}
            return connection.execute(change.values(values)).rowcount == 1

    def count_crash(self, job_id: int) -> None:
        """Count the death of a process that read this list for its recorder."""
        self._set(job_id, crashes=uploads.c.crashes + 1)

    def forget_crashes(self, job_id: int) -> None:
        """Begin to count anew: recording the list makes progress."""
        self._set(job_id, crashes=0)

    def release(self, job_id: int, holder: str) -> None:
        """Release the lease of a list."""
        mine = (uploads.c.job_id == job_id) & (uploads.c.holder == holder)
        with self._database.write() as connection:
            connection.execute(update(uploads).where(mine).values(holder=None))

    def content(self, job_id: int) -> Iterator[bytes]:
        """Yield the stored chunks of a list."""
        part = 0
        while (content := self._part(job_id, part)) is not None:
            yield content
            part += 1

    def charge(self, job_id: int, images: int) -> bool:
        """Count the images of a list once against its key's daily quota; tell whether they fit."""
        with self._database.write() as connection:
            key_id = read_job(connection, job_id).key_id
            quota = select(api_keys.c.images_per_day).where(api_keys.c.id == key_id)
            limit = connection.execute(quota).scalar()
            fit = key_id is None or charge(connection, key_id, images, limit)
            if fit:
                connection.execute(update(uploads).where(uploads.c.job_id == job_id).values(charged=True))
            return fit

    def save_malformed(self, job_id: int, first: Sequence[MalformedLine], count: int) -> None:
        """Store how many lines of a list hold no reference, and the first of them."""
        with self._database.write() as connection:
            _save_malformed(connection, job_id, first, count)

    def end(self, job_id: int, first: Sequence[MalformedLine], count: int) -> None:
        """Delete a recorded list, except its malformed lines."""
        with self._database.write() as connection:
            _save_malformed(connection, job_id, first, count)
            connection.execute(delete(upload_parts).where(upload_parts.c.job_id == job_id))
            connection.execute(delete(uploads).where(uploads.c.job_id == job_id))

    def malformed_lines(self, job_id: int, limit: int) -> list[MalformedLine]:
        """Return the first malformed lines of a job's list."""
        query = select(malformed.c.line, malformed.c.lines, malformed.c.reason)
        query = query.where(malformed.c.job_id == job_id).order_by(malformed.c.place).limit(limit)
        with self._database.read() as connection:
            return [MalformedLine(*row) for row in connection.execute(query)]

    def _set(self, job_id: int, **values: Any) -> None:
        with self._database.write() as connection:
            connection.execute(update(uploads).where(uploads.c.job_id == job_id).values(values))

    def _part(self, job_id: int, part: int) -> bytes | None:
        same = (upload_parts.c.job_id == job_id) & (upload_parts.c.part == part)
        with self._database.read() as connection:
            return connection.execute(select(upload_parts.c.content).where(same)).scalar_one_or_none()


_KEPT = ("key", "request_digest", "model_id", "name", "max_failure_rate", "priority", "key_id")
_OF_UPLOAD = tuple(uploads.c[name] for name in Upload.__dataclass_fields__ if name != "key_id")
_UPLOAD = select(jobs.c.key_id, *_OF_UPLOAD).join_from(uploads, jobs, jobs.c.id == uploads.c.job_id)
#: Seconds of the leases of lists.
_LEASES = 10.0


def _store_list(connection: Connection, job_id: int, new: NewJob, parts: Iterable[bytes]) -> None:
    row = {
        "job_id": job_id,
        "name": new.list_name,
        "ref_column": new.ref_column,
        "id_column": new.id_column,
    }
    connection.execute(insert(uploads), row)
    for part, content in enumerate(parts):
        connection.execute(insert(upload_parts), {"job_id": job_id, "part": part, "content": content})
    if new.webhook:
        add_webhook(connection, job_id, *new.webhook)


def _save_malformed(connection: Connection, job_id: int, first: Sequence[MalformedLine], count: int) -> None:
    rows = [
        {"job_id": job_id, "place": place, "line": one.line, "lines": one.lines, "reason": one.reason}
        for place, one in enumerate(first)
    ]
    counted = connection.execute(update(jobs).where(jobs.c.id == job_id).values(malformed=count))
    if rows and counted.rowcount:  # else the job was deleted meanwhile
        connection.execute(insert_new(connection, malformed, "job_id", "place"), rows)
