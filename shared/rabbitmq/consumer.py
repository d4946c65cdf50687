"""Consume on a separate connection, which a broker's alarm does not block."""

import itertools
import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from shared.broker import Delivery
from shared.rabbitmq.connection import ConnectionThread
from shared.rabbitmq.messages import UnreadableMessageError, decode
from shared.rabbitmq.topology import Topology

_log = logging.getLogger("smartsight.rabbitmq")

#: Time limit for the broker to stop delivering, in seconds.
_ANSWER = 5.0


@dataclass(frozen=True, slots=True)
class _Unacked:
    """An unacked delivery: its tag is valid only on the channel that it came by."""

    delivery: Delivery
    channel: Any
    tag: int
    since: float


class RabbitConsumer:
    """Consumes a queue of RabbitMQ, by default the bulk queue."""

    def __init__(self, url: str, topology: Topology, prefetch: int, queue: str | None = None) -> None:
        self._queue = queue or topology.bulk
        self._prefetch = prefetch
        self._changed = threading.Condition()
        self._tags = itertools.count(1)
        self._buffer: deque[Delivery] = deque()
        self._unacked: dict[int, _Unacked] = {}
        self._settled: deque[tuple[_Unacked, bool]] = deque()
        self._flushing = False
        self._stopped = threading.Event()
        self._consuming: tuple[Any, str] | None = None
        self._link = ConnectionThread(url, topology, self._opened, self._lost)
        self._link.start()

    @property
    def is_open(self) -> bool:
        """Whether the connection is open."""
        return self._link.is_open

    def receive(self, limit: int, wait: float) -> list[Delivery]:
        """Return up to ``limit`` deliveries, waiting ``wait`` seconds for the first."""
        with self._changed:
            self._changed.wait_for(lambda: self._buffer or self._stopped.is_set(), wait)
            return [self._buffer.popleft() for _ in range(min(limit, len(self._buffer)))]

    def ack(self, delivery: Delivery) -> None:
        """Acknowledge a delivery on the channel that it came by, if that is still open."""
        self._settle(delivery, done=True)

    def release(self, delivery: Delivery) -> None:
        """Return a delivery to the queue."""
        self._settle(delivery, done=False)

    def stop(self) -> None:
        """Cancel consuming; earlier deliveries can still be acked or released."""
        self._stopped.set()
        cancelled = threading.Event()

        def cancel() -> None:
            if self._consuming:
                channel, tag = self._consuming
                channel.basic_cancel(tag, callback=lambda _: cancelled.set())

        self._link.soon(cancel)
        cancelled.wait(_ANSWER if self._link.is_open else 0)
        with self._changed:
            buffered = list(self._buffer)
            self._buffer.clear()
            self._changed.notify_all()
        for delivery in buffered:
            self.release(delivery)

    def close(self) -> None:
        """Return all deliveries that are neither acked nor released, and close the connection."""
        self.stop()
        for unacked in list(self._unacked.values()):
            self.release(unacked.delivery)
        self._link.close()

    def oldest_unacked(self) -> float:
        """Return the age of the oldest delivery that is neither acked nor released, in seconds."""
        with self._changed:
            oldest = next(iter(self._unacked.values()), None)
        return time.monotonic() - oldest.since if oldest else 0.0

    def _settle(self, delivery: Delivery, done: bool) -> None:
        with self._changed:
            unacked = self._unacked.pop(delivery.tag, None)
            if unacked is None:  # the connection was lost, so the broker has requeued it
                return
            self._settled.append((unacked, done))
            wake, self._flushing = not self._flushing, True
        if wake:
            self._link.soon(self._flush)

    def _flush(self) -> None:
        while True:
            with self._changed:
                self._flushing = bool(self._settled)
                if not self._settled:
                    return
                unacked, done = self._settled.popleft()
            if not unacked.channel.is_open:
                continue
            if done:
                unacked.channel.basic_ack(unacked.tag)
            else:
                unacked.channel.basic_nack(unacked.tag, requeue=True)

    def _opened(self, channel: Any) -> None:
        if not self._stopped.is_set():
            channel.basic_qos(prefetch_count=self._prefetch, callback=lambda _: self._consume(channel))

    def _consume(self, channel: Any) -> None:
        self._consuming = channel, channel.basic_consume(self._queue, self._on_message)

    def _lost(self) -> None:
        self._consuming = None
        with self._changed:
            self._buffer.clear()
            self._unacked.clear()
            self._settled.clear()
            self._flushing = False

    def _on_message(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        try:
            message = decode(body)
        except UnreadableMessageError as error:
            _log.error("message quarantined", extra={"queue": self._queue, "reason": str(error)})
            channel.basic_reject(method.delivery_tag, requeue=False)
            return
        # Classic queues have no delivery count, only a redelivered flag.
        redeliveries = (properties.headers or {}).get("x-delivery-count", int(method.redelivered))
        with self._changed:
            delivery = Delivery(message, next(self._tags), int(redeliveries))
            self._unacked[delivery.tag] = _Unacked(delivery, channel, method.delivery_tag, time.monotonic())
            self._buffer.append(delivery)
            self._changed.notify()
