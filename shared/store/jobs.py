"""Jobs: state, progress, leases and removal."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Delete, RowMapping, Table, case, delete, func, null, or_, select, update

from shared.errors import Code, UsageError
from shared.items import JobState, now
from shared.store.database import Database
from shared.store.schema import items, jobs, poison_trials, progress, results
from shared.store.schema_api import malformed, upload_parts, uploads, webhooks
from shared.store.schema_hosts import job_hosts, retries, waiting
from shared.store.statements import clock, done_of, insert_new, is_free
from shared.store.thumbnails import remove_unused_thumbnails
from shared.store.webhooks import tell_again

#: States in which workers label what they receive.
RUNNING = (JobState.SUBMITTING, JobState.RUNNING)
#: States in which a dispatcher works on a job.
ACTIVE = (*RUNNING, JobState.CANCELLING, JobState.DELETING)
#: Jobs whose items one process labels for itself: nobody else publishes, completes or fetches them.
RUN_LOCALLY = jobs.c.local & jobs.c.state.in_(RUNNING)
#: The key of a job that its process has lost; other jobs keep theirs.
_RELEASED = case((jobs.c.local, null()), else_=jobs.c.key)


@dataclass(frozen=True, slots=True)
class Job:
    """One submission.

    ``submitted`` counts the items recorded so far: all of them when the job is ``recorded``. ``published``
    is the watermark: every item below it was confirmed by the broker or has a result. ``key_id`` is the
    owner's key, ``malformed`` the number of malformed lines of its list, ``rate`` is in items per second. A
    ``local`` job is run by one process of `smartsight label`, for itself.
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
    local: bool = False

    @property
    def is_running(self) -> bool:
        """Whether workers label its items."""
        return self.state in RUNNING

    @property
    def is_retriable(self) -> bool:
        """Whether failures can be retried: it is recorded and not cancelled, or a retry was interrupted."""
        if not self.recorded:
            return self.state is JobState.RUNNING
        return self.state in (JobState.RUNNING, JobState.PAUSED, JobState.COMPLETED)


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
        local: bool = False,
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
            "local": local,
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
        """Return the active jobs, oldest first: those with something to publish, count or cancel.

        Those that a process runs for itself are left out, also when it has died: its user runs it again.
        """
        with self._database.read() as connection:
            query = _JOB.where(jobs.c.state.in_(ACTIVE), ~RUN_LOCALLY).order_by(jobs.c.id)
            return [_job(row) for row in connection.execute(query).mappings()]

    def lease(self, job_id: int, holder: str, seconds: float) -> bool:
        """Lease a job, or renew the lease, so that no other process has it; tell whether it succeeded."""
        with self._database.write() as connection:
            time = clock(connection)
            free = is_free(jobs.c, time, seconds, holder)
            change = _set_job(job_id, holder=holder, held_until=time + seconds).where(free)
            return connection.execute(change).rowcount == 1

    def leased_until(self, job_id: int) -> float | None:
        """Return when a job's lease ends, if it has one: in seconds since 1970 by the database's clock."""
        with self._database.read() as connection:
            query = select(jobs.c.held_until).where(jobs.c.id == job_id)
            until: float | None = connection.execute(query).scalar()
            return until

    def names_files(self, job_id: int) -> bool:
        """Tell whether a job has items that are not URLs: only `smartsight label` reads files."""
        urls = select(func.coalesce(func.sum(job_hosts.c["items"]), 0)).where(job_hosts.c.job_id == job_id)
        query = select(jobs.c.submitted > urls.scalar_subquery()).where(jobs.c.id == job_id)
        with self._database.read() as connection:
            return bool(connection.execute(query).scalar())

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
        change = _set_job(job_id, state=state, finished_at=now()).where(ending & all_done)
        with self._database.write() as connection:
            completed: bool = connection.execute(change).rowcount == 1
            if completed:  # what has a result waits no more
                for table in (waiting, retries):
                    connection.execute(delete(table).where(table.c.job_id == job_id))
            return completed

    def pause(self, job_id: int, reason: str) -> bool:
        """Pause a job; tell whether it was running."""
        return self._change(job_id, jobs.c.state.in_(RUNNING), state=JobState.PAUSED, reason=reason)

    def resume(self, job_id: int, max_failure_rate: float | None) -> bool:
        """Resume a paused job with this failure budget or none; tell whether it was paused."""
        state = case((jobs.c.recorded, JobState.RUNNING), else_=JobState.SUBMITTING)
        change = {"state": state, "reason": "", "max_failure_rate": max_failure_rate, "published": 0}
        return self._change(job_id, jobs.c.state == JobState.PAUSED, **change)

    def cancel(self, job_id: int) -> bool:
        """Cancel a job; tell whether it was not over. Its items without a result are cancelled afterwards.

        The key of a local job is released: the command that began it makes a new job.
        """
        open_ = jobs.c.state.in_((*RUNNING, JobState.PAUSED))
        change = {"state": JobState.CANCELLING, "recorded": True, "reason": ""}
        return self._change(job_id, open_, **change, key=_RELEASED)

    def fail(self, job_id: int, reason: str) -> bool:
        """End a job whose submission failed, as ``cancel`` does, with the state ``failed``."""
        open_ = jobs.c.state.in_((*RUNNING, JobState.PAUSED))
        return self._change(job_id, open_, state=JobState.CANCELLING, recorded=True, reason=reason)

    def reopen(self, job_id: int) -> bool:
        """Run a job again for a retry; tell whether its state allows it.

        It cannot be completed until it is marked as recorded again, because results are removed meanwhile.
        When it is over again, its webhook is sent again. A local job that no process runs is handed over to
        the workers, and its key released: the command that began it makes a new job.
        """
        whole = jobs.c.recorded & jobs.c.state.in_((JobState.RUNNING, JobState.PAUSED, JobState.COMPLETED))
        interrupted = jobs.c.recorded.is_(False) & (jobs.c.state == JobState.RUNNING)
        change = {"state": JobState.RUNNING, "recorded": False, "reason": "", "finished_at": None}
        shared = {"local": False, "key": _RELEASED}
        with self._database.write() as connection:
            free = or_(jobs.c.local.is_(False), is_free(jobs.c, clock(connection), 0))
            reopening = _set_job(job_id, **change, **shared).where(whole | interrupted, free)
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
            # Waits for those who store results now; whoever comes later finds no job (``hold_jobs``).
            connection.execute(select(jobs.c.id).where(jobs.c.id == job_id).with_for_update())
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


def hold_jobs(connection: Connection, job_ids: Collection[int]) -> set[int]:
    """Return those of these jobs that exist and are not deleted; they stay until this transaction ends."""
    present = jobs.c.id.in_(sorted(job_ids)) & (jobs.c.state != JobState.DELETING)
    query = select(jobs.c.id).where(present).order_by(jobs.c.id)
    # The weakest lock, as of a foreign key: everything but deleting the row goes on beside it.
    return set(connection.execute(query.with_for_update(read=True, key_share=True)).scalars())


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
