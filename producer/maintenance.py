"""Maintain running jobs: progress, failure budget, cancellation, completion, and lost messages."""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from producer.failure_budget import over_budget
from shared.actions import cancel_rest, remove_rest
from shared.broker import Publisher
from shared.errors import ResourceError
from shared.items import JobState
from shared.store.store import Job, Store

_log = logging.getLogger("smartsight.dispatcher")

#: Seconds between two rounds over all jobs.
_INTERVAL = 1.0
#: Seconds without progress after which duplicates are backfilled; at least doubled each time.
_BACKFILL_AFTER = 1.0
#: If the broker still holds messages, they get this many times longer before they are published again.
_BROKER_FACTOR = 4


#: Time over which the rate is measured, in seconds.
_WINDOW = 60.0
#: Seconds between two recorded counts, and least time for measuring a rate.
_STEP = 2.0


class RateMeter:
    """Measures the rate of a job from counts over time."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, now: float, done: int) -> float | None:
        """Return the items finished per second in the last minute; None if there is no new value."""
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()  # some are retried
        if self._seen and now - self._seen[-1][0] < _STEP:
            return None
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _WINDOW:
            self._seen.popleft()
        begun, before = self._seen[0]
        return (done - before) / (now - begun) if now > begun else None


class MaintenanceObserver(Protocol):
    """Observes the amount of work."""

    def waiting(self, in_broker: int | None, in_all: int) -> None:
        """Record the number of messages in the broker, and of items of running jobs without a result."""
        ...


@dataclass
class _Watch:
    """Since when a job has made no progress, and when it is checked next."""

    done: int
    since: float
    backfill_after: float = field(default_factory=lambda: _BACKFILL_AFTER)
    meter: RateMeter = field(default_factory=RateMeter)


class JobMaintenance:
    """Maintains all jobs. Several may run at once: each step can be repeated."""

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        sweep_after: float,
        placeholder_urls: int,
        observer: MaintenanceObserver | None = None,
    ) -> None:
        self._store = store
        self._observer = observer
        self._publisher = publisher
        self._sweep_after = sweep_after
        self._placeholder_urls = placeholder_urls
        self._watches: dict[int, _Watch] = {}

    def run(self, stop: threading.Event) -> None:
        """Maintain all jobs until ``stop`` is set."""
        while not stop.wait(_INTERVAL):
            try:
                self.maintain(self._store.jobs.active())
            except ResourceError as error:
                _log.warning("store unavailable", extra={"reason": str(error)})

    def maintain(self, jobs: Sequence[Job]) -> None:
        """Do what these jobs need; drop what is remembered about others."""
        self._watches = {job.id: self._watches.get(job.id) or _Watch(-1, 0) for job in jobs}
        for job in jobs:
            self._maintain(job)
        if self._observer:
            backlog = sum(job.submitted - self._watches[job.id].done for job in jobs)
            self._observer.waiting(self._publisher.depth(), backlog)

    def _maintain(self, job: Job) -> None:
        if job.state is JobState.DELETING:
            remove_rest(self._store, job)
            return
        if job.state is JobState.CANCELLING:
            cancel_rest(self._store, job)
        tallies = self._store.results.tallies(job.id)
        done = sum(tally.count for tally in tallies)
        self._note_rate(job, done)
        if reason := over_budget(job, tallies):
            self._store.jobs.pause(job.id, reason)
            _log.warning("job paused", extra={"job": job.id, "reason": reason})
        elif job.recorded and done >= job.submitted:
            self._store.results.skip_placeholders(job.id, self._placeholder_urls)
            self._store.jobs.complete(job.id)
        elif job.recorded and job.published >= job.submitted:
            self._wake(job, self._watches[job.id])

    def _note_rate(self, job: Job, done: int) -> None:
        watch, now = self._watches[job.id], time.monotonic()
        if done != watch.done:
            self._watches[job.id] = _Watch(done, now, meter=watch.meter)
            self._store.results.compact(job.id)
        rate = watch.meter.note(now, done)
        if rate is not None and rate != job.rate:
            self._store.jobs.note_rate(job.id, rate)

    def _wake(self, job: Job, watch: _Watch) -> None:
        """Repair a job without progress: first backfill duplicates, later publish missing items again."""
        still = time.monotonic() - watch.since
        if still >= watch.backfill_after:
            self._store.duplicates.backfill(job.id)
            # Measured from here: with very many duplicates, backfilling itself takes a while.
            watch.backfill_after = 2 * (time.monotonic() - watch.since)
        if still >= self._sweep_after and self._is_forgotten(still):
            _log.warning(
                "job published again", extra={"job": job.id, "seconds_without_progress": round(still)}
            )
            self._store.jobs.publish_again(job.id)
            watch.since = time.monotonic()

    def _is_forgotten(self, still: float) -> bool:
        """Tell whether the broker has nothing left to deliver, or has held it for too long."""
        return self._publisher.depth() == 0 or still >= _BROKER_FACTOR * self._sweep_after
