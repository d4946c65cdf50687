"""Publish items: at most as many as the broker should hold; the rest waits in the store."""

import logging
import threading
import uuid
from collections.abc import Sequence

from shared.broker import BrokerClosedError, Publisher
from shared.errors import ResourceError
from shared.items import Message
from shared.store.store import Job, Store

_log = logging.getLogger("smartsight.dispatcher")

#: How long the lease of a job lasts, in seconds.
_LEASE = 10.0
#: Pause when there is nothing to publish, in seconds.
_IDLE = 0.5
#: Pause after the store failed, in seconds.
_STORE_AWAY = 5.0


class Dispatcher:
    """Publishes the items of jobs, alternating between jobs; each job has one dispatcher at a time."""

    def __init__(self, store: Store, publisher: Publisher, queue_length: int) -> None:
        self._store = store
        self._publisher = publisher
        self._queue_length = queue_length
        self._holder = uuid.uuid4().hex

    def run(self, stop: threading.Event) -> None:
        """Publish the items of all jobs until ``stop`` is set."""
        while not stop.is_set():
            try:
                published = self.publish(self._store.jobs.active())
            except BrokerClosedError:
                break
            except ResourceError as error:
                _log.warning("store unavailable", extra={"reason": str(error)})
                stop.wait(_STORE_AWAY)
            else:
                stop.wait(0 if published else _IDLE)

    def publish(self, jobs: Sequence[Job]) -> int:
        """Publish the next items of these jobs, up to the queue's free capacity; return how many."""
        waiting = [job for job in jobs if self._has_more(job)]
        shares = shared_out(self.room() if waiting else 0, [job.priority for job in waiting])
        return sum(
            self._publish(job, min(PAGE, share)) for job, share in zip(waiting, shares, strict=True) if share
        )

    def room(self) -> int:
        """Return how many more messages may wait in the broker now; 0 if its depth is unknown."""
        depth = self._publisher.depth()
        return 0 if depth is None else max(0, self._queue_length - depth)

    def close(self) -> None:
        """Release all leases."""
        self._store.jobs.end_leases(self._holder)

    def _has_more(self, job: Job) -> bool:
        return job.is_running and job.published < job.submitted

    def _publish(self, job: Job, limit: int) -> int:
        if not self._store.jobs.lease(job.id, self._holder, _LEASE):
            return 0
        stop = publish_next(self._store, self._publisher, job, job.published, limit)
        self._store.jobs.mark_published(job.id, self._holder, job.published, stop)
        return stop - job.published


def shared_out(room: int, priorities: Sequence[int]) -> list[int]:
    """Divide capacity among jobs; one step of priority means four times as much, and every job gets some.

    The remainder goes to the highest priority.
    """
    weights = [4.0**priority for priority in priorities]
    shares = [int(room * weight / sum(weights)) for weight in weights]
    if shares:
        first = max(range(len(shares)), key=lambda place: priorities[place])
        shares[first] += room - sum(shares)
    return shares


#: Items read from the store and published at a time.
PAGE = 1000
#: How often to look for more items while they are still being recorded, in seconds.
_POLL = 0.05


def publish_next(store: Store, publisher: Publisher, job: Job, start: int, limit: int) -> int:
    """Publish those of the next items from ``start`` that have no result; return the next start.

    Raises ``BrokerClosedError``.
    """
    stop = min(start + limit, job.submitted)
    page = store.items.pending(job.id, start, stop) if stop > start else []
    publisher.publish(Message(item.job_id, item.index, item.ref) for item in page)
    return stop


def publish_all(store: Store, publisher: Publisher, job_id: int, stop: threading.Event) -> None:
    """Publish a job from its beginning until all its items are recorded, to a queue of this process.

    Waits while the queue is full; returns early if ``stop`` is set or the broker closes.
    """
    published = 0
    while not stop.is_set():
        job = store.jobs.get(job_id)
        if job.recorded and published >= job.submitted:
            return
        try:
            published = publish_next(store, publisher, job, published, PAGE)
        except BrokerClosedError:
            return
        if published >= job.submitted:
            stop.wait(_POLL)
