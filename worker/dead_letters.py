"""Read the dead-letter queue: the items of messages that the broker gave up get a result."""

import logging
import threading
from collections.abc import Sequence

from shared.broker import Consumer, Delivery
from shared.errors import Code, ItemError, ResourceError, UsageError
from shared.items import Evidence, Result
from shared.store.store import Store
from worker.delivery import failed

_log = logging.getLogger("smartsight.worker")

_AT_ONCE = 100
_RECEIVE_WAIT = 0.5
#: Pause after the store failed, in seconds.
_STORE_AWAY = 5.0


def read_dead_letters(store: Store, consumer: Consumer, stop: threading.Event) -> None:
    """Store a failure for every dead message, and ack it then, until told to stop."""
    while not stop.is_set():
        deliveries = consumer.receive(_AT_ONCE, _RECEIVE_WAIT)
        while deliveries and not stop.is_set():
            try:
                _save_failures(store, deliveries)
            except ResourceError as error:
                _log.warning("store unavailable", extra={"reason": str(error)})
                stop.wait(_STORE_AWAY)
                continue
            for delivery in deliveries:
                consumer.ack(delivery)
            break


def _save_failures(store: Store, deliveries: Sequence[Delivery]) -> None:
    results = [result for delivery in deliveries if (result := _result(store, delivery))]
    if results:
        store.results.save(results)


def _result(store: Store, delivery: Delivery) -> Result | None:
    message = delivery.message
    try:
        job = store.jobs.get(message.job_id)
    except UsageError:
        _log.warning("unknown job", extra={"job": message.job_id})
        return None
    _log.error("dead letter", extra={"job": message.job_id, "item": message.index})
    error = ItemError(Code.WORKER_CRASHED, "the broker delivered it too often, and gave it up")
    return failed(message, job.model_id, error, Evidence())
