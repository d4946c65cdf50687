"""Jobs: state, progress, leases and removal."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Delete, RowMapping, Table, case, delete, or_, select, update

from shared.errors import Code, UsageError
from shared.items import JobState, now
from shared.store.database import Database
from shared.store.schema import items, jobs, poison_trials, progress, results
from shared.store.schema_api import malformed, upload_parts, uploads, webhooks
from shared.store.schema_hosts import job_hosts, retries, waiting
from shared.store.statements import clock, done_of, insert_new
from shared.store.thumbnails import remove_unused_thumbnails
from shared.store.webhooks import tell_again

#: States in which workers label what they receive.
RUNNING = (JobState.SUBMITTING, JobState.RUNNING)
#: States in which a dispatcher works on a job.
ACTIVE = (*RUNNING, JobState.CANCELLING, JobState.DELETING)


@dataclass(frozen=True, slots=True)
class Job:
    """One submission.

    ``submitted`` counts the items recorded so far: all of them when the job is ``recorded``. ``published``
    is the watermark: every item below it was confirmed by the broker or has a result. ``key_id`` is the
    owner's key, ``malformed`` the number of malformed lines of its list, ``rate`` is in items per second.
    """

    id: int
    name: str | None
    state: JobState
    reason: str
    recorded: bool
    model_id: int
    submitted: int
    references_digest: str
    published: int
    max_failure_rate: float | None
    created_at: datetime
    finished_at: datetime | None
    key_id: int | None = None
    request_digest: str = ""
    priority: int = 0
    malformed: int = 0
    rate: float | None = None

    @property
    def is_running(self) -> bool:
        """Whether workers label its items."""
        return self.state in RUNNING


class Jobs:
    """The statements on jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(
        self,
        key: str,
        model_id: int,
        name: str | None = None,
        max_failure_rate: float | None = None,
        priority: int = 0,
    ) -> Job:
        """Return the job of this idempotency key, or a new one."""
        values = {
            "key": key,
            "name": name,
            "state": JobState.SUBMITTING,
            "model_id": model_id,
            "submitted": 0,
            "max_failure_rate": max_failure_rate,
            "priority": priority,
            "created_at": now(),
        }
        with self._database.write() as connection:
            connection.execute(insert_new(connection, jobs, "key"), values)
            return job_of_key(connection, key)

    def get(self, job_id: int) -> Job:
        """Return a job, or raise ``UsageError(job_unknown)``."""
        with self._database.read() as connection:
            return read_job(connection, job_id)

    def newest(self, before: int | None, limit: int, key_id: int | None = None) -> list[Job]:
        """Return jobs, newest first, that are older than the job ``before``; of one API key, or of all."""
        query = _JOB.where(jobs.c.state != JobState.DELETING)
        query = query if before is None else query.where(jobs.c.id < before)
        query = query if key_id is None else query.where(jobs.c.key_id == key_id)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(jobs.c.id.desc()).limit(limit)).mappings()
            return [_job(row) for row in rows]

    def find(self, key: str) -> Job | None:
        """Return the job of this idempotency key, unless it was deleted."""
        query = _JOB.where(jobs.c.key == key, jobs.c.state != JobState.DELETING)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
            return None if row is None else _job(row)

    def active(self) -> list[Job]:
        """Return the active jobs, oldest first: those with something to publish, count or cancel."""
        with self._database.read() as connection:
            query = _JOB.where(jobs.c.state.in_(ACTIVE)).order_by(jobs.c.id)
            return [_job(row) for row in connection.execute(query).mappings()]

    def lease(self, job_id: int, holder: str, seconds: float) -> bool:
        """Lease a job, or renew the lease, so that no other dispatcher has it; tell whether it succeeded."""
        with self._database.write() as connection:
            time = clock(connection)
            free = or_(jobs.c.holder.is_(None), jobs.c.holder == holder, jobs.c.held_until < time)
            change = _set_job(job_id, holder=holder, held_until=time + seconds).where(free)
            return connection.execute(change).rowcount == 1

    def end_leases(self, holder: str) -> None:
        """Release all leases of this holder."""
        with self._database.write() as connection:
            change = update(jobs).where(jobs.c.holder == holder)
            connection.execute(change.values(holder=None, held_until=None))

    def mark_published(self, job_id: int, holder: str, start: int, stop: int) -> None:
        """Move the watermark of a job that this holder leases, if it is still ``start``."""
        mine = (jobs.c.holder == holder) & (jobs.c.published == start)
        self._change(job_id, mine, published=stop)

    def publish_again(self, job_id: int) -> None:
        """Reset the watermark to 0: items without a result are published again."""
        self._change(job_id, jobs.c.published > 0, published=0)

    def mark_recorded(self, job_id: int) -> None:
        """Mark a job whose items are all recorded."""
        state = case((jobs.c.state == JobState.SUBMITTING, JobState.RUNNING), else_=jobs.c.state)
        self._change(job_id, jobs.c.recorded.is_(False), recorded=True, state=state)

    def complete(self, job_id: int) -> bool:
        """Complete a job whose items all have results; tell whether this call completed it."""
        ending = jobs.c.state.in_((JobState.RUNNING, JobState.CANCELLING))
        all_done = jobs.c.recorded & (done_of(job_id) >= jobs.c.submitted)
        state = case(
            (jobs.c.state == JobState.RUNNING, JobState.COMPLETED),
            (jobs.c.reason == "", JobState.CANCELLED),
            else_=JobState.FAILED,
        )
        return self._change(job_id, ending & all_done, state=state, finished_at=now())

    def pause(self, job_id: int, reason: str) -> bool:
        """Pause a job; tell whether it was running."""
        return self._change(job_id, jobs.c.state.in_(RUNNING), state=JobState.PAUSED, reason=reason)

    def resume(self, job_id: int, max_failure_rate: float | None) -> bool:
        """Resume a paused job with this failure budget or none; tell whether it was paused."""
        state = case((jobs.c.recorded, JobState.RUNNING), else_=JobState.SUBMITTING)
        change = {"state": state, "reason": "", "max_failure_rate": max_failure_rate, "published": 0}
        return self._change(job_id, jobs.c.state == JobState.PAUSED, **change)

    def cancel(self, job_id: int) -> bool:
        """Cancel a job; tell whether it was not over. Its items without a result are cancelled afterwards."""
        open_ = jobs.c.state.in_((*RUNNING, JobState.PAUSED))
        return self._change(job_id, open_, state=JobState.CANCELLING, recorded=True, reason="")

    def fail(self, job_id: int, reason: str) -> bool:
        """End a job whose submission failed, as ``cancel`` does, with the state ``failed``."""
        open_ = jobs.c.state.in_((*RUNNING, JobState.PAUSED))
        return self._change(job_id, open_, state=JobState.CANCELLING, recorded=True, reason=reason)

    def reopen(self, job_id: int) -> bool:
        """Run a job again for a retry; tell whether its state allows it.

        It cannot be completed until it is marked as recorded again, because results are removed meanwhile.
        When it is over again, its webhook is sent again.
        """
        whole = jobs.c.recorded & jobs.c.state.in_((JobState.RUNNING, JobState.PAUSED, JobState.COMPLETED))
        interrupted = jobs.c.recorded.is_(False) & (jobs.c.state == JobState.RUNNING)
        change = {"state": JobState.RUNNING, "recorded": False, "reason": "", "finished_at": None}
        with self._database.write() as connection:
            reopening = _set_job(job_id, **change).where(whole | interrupted)
            reopened: bool = connection.execute(reopening).rowcount == 1
            if reopened:
                tell_again(connection, job_id)
            return reopened

    def note_rate(self, job_id: int, rate: float) -> None:
        """Store the recent rate of a job, in items per second."""
        self._change(job_id, jobs.c.state.in_(RUNNING), rate=rate)

    def delete(self, job_id: int) -> bool:
        """Hide a job if it is over, and tell whether it was; its rows stay until ``remove``."""
        over = jobs.c.state.in_(tuple(state for state in JobState if state.is_over))
        return self._change(job_id, over, state=JobState.DELETING, key=None)

    def remove_items(self, job_id: int, start: int, stop: int) -> None:
        """Remove the items of a range of indexes, their results, and thumbnails that no other result uses."""
        with self._database.write() as connection:
            removal = _removal(results, job_id, start, stop).returning(results.c.sha256)
            digests = {digest for digest in connection.execute(removal).scalars() if digest}
            for table in _BY_ITEM:
                connection.execute(_removal(table, job_id, start, stop))
            remove_unused_thumbnails(connection, digests)

    def remove(self, job_id: int) -> bool:
        """Remove the rest and the job itself; tell whether it is gone.

        It stays while it has results: a worker may have stored one meanwhile.
        """
        late = select(results.c.index).where(results.c.job_id == job_id).limit(1)
        with self._database.write() as connection:
            if connection.execute(late).first():
                return False
            for table in _BY_JOB:
                connection.execute(delete(table).where(table.c.job_id == job_id))
            connection.execute(delete(jobs).where(jobs.c.id == job_id))
            return True

    def release_key(self, job_id: int) -> None:
        """Release the idempotency key of a job: its next use creates a new job."""
        with self._database.write() as connection:
            connection.execute(_set_job(job_id, key=None))

    def _change(self, job_id: int, condition: Any, **values: object) -> bool:
        with self._database.write() as connection:
            return connection.execute(_set_job(job_id, **values).where(condition)).rowcount == 1


_JOB = select(*(jobs.c[name].label(name) for name in Job.__dataclass_fields__))


def job_of_key(connection: Connection, key: str) -> Job:
    """Return the existing job of this idempotency key."""
    return _job(connection.execute(_JOB.where(jobs.c.key == key)).mappings().one())


def read_job(connection: Connection, job_id: int) -> Job:
    """Return a job as seen by this connection, or raise ``UsageError(job_unknown)``."""
    seen = (jobs.c.id == job_id) & (jobs.c.state != JobState.DELETING)
    row = connection.execute(_JOB.where(seen)).mappings().one_or_none()
    if row is None:
        raise UsageError(Code.JOB_UNKNOWN, f"job {job_id}")
    return _job(row)


def _set_job(job_id: int, **values: object) -> Any:
    return update(jobs).where(jobs.c.id == job_id).values(**values)


def _job(row: RowMapping) -> Job:
    return Job(**{**row, "state": JobState(row["state"])})


#: Other tables with a row per item, and tables with few rows per job.
_BY_ITEM = (items, poison_trials, waiting, retries)
_BY_JOB = (progress, job_hosts, upload_parts, uploads, malformed, webhooks)


def _removal(table: Table, job_id: int, start: int, stop: int) -> Delete:
    span = table.c.index.between(start, stop - 1)
    return delete(table).where(table.c.job_id == job_id, span)
