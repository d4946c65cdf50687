"""Publish the items of a job that have no result yet, as they are recorded."""

import threading

from shared.broker import BrokerClosedError, Publisher
from shared.items import Message
from shared.store.store import Job, Store

#: Items read from the store and published at a time.
PAGE = 1000
#: How often to look for more items while they are still being recorded, in seconds.
_POLL = 0.05


def publish_next(store: Store, publisher: Publisher, job: Job, start: int, limit: int) -> int:
    """Publish what has no result of the next items from ``start`` on; return where to go on.

    Raises ``BrokerClosedError``.
    """
    stop = min(start + limit, job.submitted)
    page = store.items.pending(job.id, start, stop) if stop > start else []
    publisher.publish(Message(item.job_id, item.index, item.ref) for item in page)
    return stop


def publish_all(store: Store, publisher: Publisher, job_id: int, stop: threading.Event) -> None:
    """Publish a job from its beginning until all its items are recorded, to a queue of this process.

    Waits while the queue is full; returns early when told to stop or the broker closes.
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
