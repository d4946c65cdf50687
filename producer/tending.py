"""Tend the jobs: count, keep within the failure budget, cancel, complete, and find what was lost."""

import logging
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.broker import Publisher
from shared.errors import Code, ResourceError
from shared.items import ItemState, JobState
from shared.store.store import Job, Tally

_log = logging.getLogger("smartsight.dispatcher")

#: Seconds between two looks at all jobs.
_INTERVAL = 1.0
#: How many outcomes a failure rate is judged by at least.
_ENOUGH = 50
#: Items cancelled, or taken back, in one transaction.
_AT_ONCE = 10_000
#: Seconds without progress after which duplicates of done items are looked for, doubled each time.
_SETTLE_AFTER = 1.0
#: What the broker still holds is given this many times longer before it is published again.
_PATIENCE_WITH_BROKER = 4


class TendStore(Protocol):
    """What tending needs of the store."""

    def tended_jobs(self) -> Sequence[Job]:
        """See ``Store``."""
        ...

    def tallies(self, job_id: int) -> Sequence[Tally]:
        """See ``Store``."""
        ...

    def fold(self, job_id: int) -> None:
        """See ``Store``."""
        ...

    def pause(self, job_id: int, reason: str) -> bool:
        """See ``Store``."""
        ...

    def cancel_pending(self, job_id: int, start: int, stop: int) -> None:
        """See ``Store``."""
        ...

    def complete(self, job_id: int) -> bool:
        """See ``Store``."""
        ...

    def set_placeholders_aside(self, job_id: int, urls: int) -> int:
        """See ``Store``."""
        ...

    def settle_duplicates(self, job_id: int) -> None:
        """See ``Store``."""
        ...

    def publish_again(self, job_id: int) -> None:
        """See ``Store``."""
        ...


class TendObserver(Protocol):
    """Is told how much there is to do."""

    def waiting(self, in_broker: int | None, in_all: int) -> None:
        """Note how many messages the broker holds, and how many items of running jobs have no result."""
        ...


@dataclass
class _Watch:
    """Since when a job has stood still, and when it is next looked into."""

    done: int
    since: float
    settle_after: float = _SETTLE_AFTER


class Tender:
    """Looks after all jobs. Several may do so at once: whatever one of them does, another can repeat."""

    def __init__(
        self,
        store: TendStore,
        publisher: Publisher,
        sweep_after: float,
        placeholder_urls: int,
        observer: TendObserver | None = None,
    ) -> None:
        self._store = store
        self._observer = observer
        self._publisher = publisher
        self._sweep_after = sweep_after
        self._placeholder_urls = placeholder_urls
        self._watches: dict[int, _Watch] = {}

    def run(self, stop: threading.Event) -> None:
        """Look after all jobs until told to stop."""
        while not stop.wait(_INTERVAL):
            try:
                self.look_after(self._store.tended_jobs())
            except ResourceError as error:
                _log.warning("no job is looked after for now: %s", error)

    def look_after(self, jobs: Sequence[Job]) -> None:
        """Do what these jobs need; forget what was known of others."""
        self._watches = {job.id: self._watches.get(job.id) or _Watch(-1, 0) for job in jobs}
        for job in jobs:
            self._look_after(job)
        if self._observer:
            backlog = sum(job.submitted - self._watches[job.id].done for job in jobs)
            self._observer.waiting(self._publisher.depth(), backlog)

    def _look_after(self, job: Job) -> None:
        if job.state is JobState.CANCELLING:
            cancel_rest(self._store, job)
        tallies = self._store.tallies(job.id)
        done = sum(tally.count for tally in tallies)
        if done != self._watches[job.id].done:
            self._watches[job.id] = _Watch(done, time.monotonic())
            self._store.fold(job.id)
        if reason := over_budget(job, tallies):
            self._store.pause(job.id, reason)
            _log.warning("job %s pauses: %s", job.id, reason)
        elif job.sealed and done >= job.submitted:
            self._store.set_placeholders_aside(job.id, self._placeholder_urls)
            self._store.complete(job.id)
        elif job.sealed and job.published >= job.submitted:
            self._wake(job, self._watches[job.id])

    def _wake(self, job: Job, watch: _Watch) -> None:
        """Look for what keeps a job from its end, the longer it stands still the further."""
        still = time.monotonic() - watch.since
        if still >= watch.settle_after:
            watch.settle_after *= 2
            self._store.settle_duplicates(job.id)
        if still >= self._sweep_after and self._is_forgotten(still):
            _log.warning("job %s: no progress for %.0f s, publishing the rest again", job.id, still)
            self._store.publish_again(job.id)
            watch.since = time.monotonic()

    def _is_forgotten(self, still: float) -> bool:
        """Tell whether the broker has nothing more to deliver, or has kept it for too long."""
        return self._publisher.depth() == 0 or still >= _PATIENCE_WITH_BROKER * self._sweep_after


class CancelStore(Protocol):
    """What cancelling needs of the store."""

    def cancel_pending(self, job_id: int, start: int, stop: int) -> None:
        """See ``Store``."""
        ...

    def complete(self, job_id: int) -> bool:
        """See ``Store``."""
        ...


def cancel_rest(store: CancelStore, job: Job) -> None:
    """Give every item of a job that has no result the state ``cancelled``, and end the job."""
    for start in range(0, job.submitted, _AT_ONCE):
        store.cancel_pending(job.id, start, start + _AT_ONCE)
    store.complete(job.id)


class RetryStore(Protocol):
    """What trying again needs of the store."""

    def forget_failed(self, job_id: int, codes: Collection[Code], start: int, stop: int) -> int:
        """See ``Store``."""
        ...


def forget_failed(store: RetryStore, job: Job, codes: Collection[Code]) -> int:
    """Take back the failures of a job that have one of these codes; return how many."""
    starts = range(0, job.submitted, _AT_ONCE)
    return sum(store.forget_failed(job.id, codes, start, start + _AT_ONCE) for start in starts)


def over_budget(job: Job, tallies: Sequence[Tally]) -> str:
    """Return why a job has to pause: more images fail than it allows; or nothing."""
    if job.max_failure_rate is None or not job.is_running:
        return ""
    judged = [tally for tally in tallies if tally.state in (ItemState.SUCCEEDED, ItemState.FAILED)]
    done = sum(tally.count for tally in judged)
    failures = [tally for tally in judged if tally.state is ItemState.FAILED]
    failed = sum(tally.count for tally in failures)
    if done < _ENOUGH or failed <= job.max_failure_rate * done:
        return ""
    most = max(failures, key=lambda tally: tally.count)
    share = f"{failed} of {done} images failed ({failed / done:.0%}, {job.max_failure_rate:.0%} are allowed)"
    return f"{share}, {most.count} of them with {most.code}"
