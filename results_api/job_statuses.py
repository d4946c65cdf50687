"""Read the status of jobs: requests that arrive together are one look at the store."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from results_api.access import key_seen_by, may_see, unknown_job
from results_api.api_keys import Caller
from shared.batch_loader import BatchLoader
from shared.errors import UsageError
from shared.items import ItemState, now
from shared.job_status import PRIORITIES, CodeCount, JobStatus, MalformedLines, WebhookStatus
from shared.store.store import Job, Store, Tally
from shared.store.summaries import in_utc
from shared.time_left import Waiting

T = TypeVar("T")

#: Malformed lines in a job's status.
_MALFORMED = 20
#: Seconds until a poller should ask again, at least and at most.
_SOONEST, _LATEST = 1, 60
#: How often a poller asks until a job's end.
_POLLS = 20
_PRIORITY_NAMES = {number: name for name, number in PRIORITIES.items()}


class _Threads:
    async def call(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.to_thread(function, *arguments)


class JobStatuses:
    """Reads the status of jobs; a status is never older than the call."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._loader = BatchLoader(_Threads(), self._look_up)

    async def of(self, caller: Caller, job_id: int) -> JobStatus:
        """Return the status of a job that this caller may see; raise ``UsageError(job_unknown)``."""
        found = await self._loader.find(job_id)
        if found is None or not may_see(caller, found[0]):
            raise unknown_job(job_id)
        return found[1]

    def newest(self, caller: Caller, before: int | None, limit: int) -> list[JobStatus]:
        """Return this caller's newest jobs, of those older than the job ``before``."""
        jobs = self._store.jobs.newest(before, limit, key_seen_by(caller))
        return [read_status(self._store, job) for job in jobs]

    def _look_up(self, job_ids: Collection[int]) -> dict[int, tuple[Job, JobStatus]]:
        found: dict[int, tuple[Job, JobStatus]] = {}
        for job_id in job_ids:
            with suppress(UsageError):  # the caller gets nothing, and raises the same
                job = self._store.jobs.get(job_id)
                found[job_id] = job, read_status(self._store, job)
        return found


def read_status(store: Store, job: Job) -> JobStatus:
    """Return the status of a job whose row was just read."""
    model, tallies = store.models.get(job.model_id), store.results.tallies(job.id)
    done = sum(tally.count for tally in tallies)
    waiting, has_worker = _progress(store, job, job.submitted - done)
    return JobStatus(
        id=job.id,
        name=job.name,
        state=job.state,
        reason=job.reason,
        model=f"{model.name}@{model.version}",
        priority=_PRIORITY_NAMES.get(job.priority, str(job.priority)),
        created_at=in_utc(job.created_at),
        finished_at=in_utc(job.finished_at) if job.finished_at else None,
        submitted=job.submitted,
        recorded=job.recorded,
        done=done,
        counts=_counts(tallies, max(0, job.submitted - done)),
        codes=_codes(tallies),
        rate=job.rate if job.rate is None else round(job.rate, 3),
        seconds_left=_seconds_left(job, job.submitted - done, waiting),
        max_failure_rate=job.max_failure_rate,
        malformed=_malformed(store, job),
        webhook=_webhook(store, job),
        published=job.published,
        waiting=waiting,
        has_worker=has_worker,
    )


def links_of(job_id: int, prefix: str = "") -> dict[str, str]:
    """Return the API's paths of a job and of what belongs to it, below a path prefix."""
    home = f"{prefix}/v1/jobs/{job_id}"
    return {"self": home} | {name: f"{home}/{name}" for name in ("results", "summary", "events")}


def as_json(status: JobStatus, prefix: str = "") -> dict[str, Any]:
    """Return the status as the API sends it, with its links below a path prefix."""
    return status.as_json() | {"links": links_of(status.id, prefix)}


def poll_after(status: JobStatus) -> int | None:
    """Return after how many seconds to ask again; None if the job changes only on request."""
    if status.is_settled:
        return None
    left = status.seconds_left
    if left is None and status.waiting:
        left = (status.waiting.next_at - now()).total_seconds()
    return _SOONEST if left is None else round(min(_LATEST, max(_SOONEST, left / _POLLS)))


def _counts(tallies: Sequence[Tally], pending: int) -> dict[ItemState, int]:
    counts = dict.fromkeys(ItemState, 0) | {ItemState.PENDING: pending}
    for tally in tallies:
        counts[tally.state] += tally.count
    return counts


def _codes(tallies: Sequence[Tally]) -> tuple[CodeCount, ...]:
    """Return the counts by code, the largest first."""
    counts = [
        CodeCount(tally.code, tally.state, tally.count, tally.code.sentence)
        for tally in tallies
        if tally.code is not None
    ]
    return tuple(sorted(counts, key=lambda count: (-count.count, count.code)))


def _progress(store: Store, job: Job, left: int) -> tuple[Waiting | None, bool]:
    """Return what of a running job waits for another attempt, and whether a worker was seen lately."""
    if not job.is_running or left <= 0:
        return None, True
    waiting = store.retries.waiting(job.id)
    # Results may have been stored since they were counted.
    waiting = waiting and replace(waiting, count=min(waiting.count, left))
    return waiting, store.workers.is_seen(job.id)


def _seconds_left(job: Job, left: int, waiting: Waiting | None) -> float | None:
    """Return how long the rest takes at the present rate, if there is one, without what waits."""
    moving = left - (waiting.count if waiting else 0)
    return round(moving / job.rate, 1) if job.is_running and job.rate and moving > 0 else None


def _malformed(store: Store, job: Job) -> MalformedLines:
    lines = store.uploads.malformed_lines(job.id, _MALFORMED) if job.malformed else ()
    return MalformedLines(job.malformed, tuple(lines))


def _webhook(store: Store, job: Job) -> WebhookStatus | None:
    found = store.webhooks.get(job.id)
    if found is None:
        return None
    return WebhookStatus(found.url, str(found.state), found.attempts, found.last_error, found.secret)
