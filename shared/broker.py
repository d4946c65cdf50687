"""The broker boundary, and an in-process broker that needs no server."""

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from shared.items import Message

#: Most delayed messages per ready message.
_DELAYED_PER_READY = 100


class BrokerClosedError(Exception):
    """The broker was closed; nothing more can be published."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One receipt of a message by a worker; ``tag`` identifies it to the broker.

    ``redeliveries`` counts earlier deliveries that were released or whose worker died.
    """

    message: Message
    tag: int
    redeliveries: int = 0


class Publisher(Protocol):
    """Publishes messages to a broker.

    A broker delivers at least once. The store is the truth; a broker may lose messages at any time.
    """

    def publish(self, messages: Iterable[Message], delay: float = 0) -> None:
        """Publish messages, to be delivered after ``delay`` seconds.

        Returns when the broker has confirmed all; waits while its queue is full or it is unavailable.
        Raises ``BrokerClosedError`` if this side is closed meanwhile.
        """
        ...

    def depth(self) -> int | None:
        """Return the number of ready messages, without delayed ones; ``None`` if unknown."""
        ...


class Consumer(Protocol):
    """Receives messages from a broker; thread-safe."""

    def receive(self, limit: int, wait: float) -> list[Delivery]:
        """Return up to ``limit`` deliveries, waiting ``wait`` seconds for the first."""
        ...

    def ack(self, delivery: Delivery) -> None:
        """Acknowledge a delivery whose result is stored: it is not delivered again.

        Does nothing if the broker has requeued the delivery meanwhile.
        """
        ...

    def release(self, delivery: Delivery) -> None:
        """Return a delivery to the broker: it is delivered again, with ``redeliveries`` one higher."""
        ...

    def stop(self) -> None:
        """Stop receiving; earlier deliveries can still be acked or released."""
        ...


class InProcessBroker:
    """A bounded queue in memory, publisher and consumer, for one process; thread-safe."""

    def __init__(self, capacity: int = 1000) -> None:
        self._capacity = capacity
        self._ready: deque[tuple[Message, int]] = deque()
        self._delayed: list[tuple[float, int, Message]] = []
        self._unacked: dict[int, Delivery] = {}
        self._tags = itertools.count(1)
        self._changed = threading.Condition()
        self._stopped = False
        self._closed = False

    def publish(self, messages: Iterable[Message], delay: float = 0) -> None:
        """Publish messages; delayed ones never block, because their publisher also empties the queue."""
        with self._changed:
            for message in messages:
                self._changed.wait_for(lambda: delay or self._has_room())
                if self._closed:
                    raise BrokerClosedError
                self._put(message, delay)
                self._changed.notify_all()

    def _put(self, message: Message, delay: float) -> None:
        if delay:
            heapq.heappush(self._delayed, (time.monotonic() + delay, next(self._tags), message))
        else:
            self._ready.append((message, 0))

    def depth(self) -> int:
        """Return how many messages wait, without delayed ones."""
        with self._changed:
            return len(self._ready)

    def receive(self, limit: int, wait: float) -> list[Delivery]:
        """Return up to ``limit`` deliveries, waiting ``wait`` seconds for the first."""
        deadline = time.monotonic() + wait
        with self._changed:
            while not self._take_due() and not self._stopped:
                remaining = min(deadline, self._next_due()) - time.monotonic()
                if remaining <= 0:
                    break
                self._changed.wait(remaining)
            count = 0 if self._stopped else min(limit, len(self._ready))
            deliveries = [self._deliver(*self._ready.popleft()) for _ in range(count)]
            self._changed.notify_all()
            return deliveries

    def ack(self, delivery: Delivery) -> None:
        """Forget a delivery for good."""
        with self._changed:
            self._unacked.pop(delivery.tag, None)

    def release(self, delivery: Delivery) -> None:
        """Put a delivery back at the front."""
        with self._changed:
            if self._unacked.pop(delivery.tag, None):
                self._ready.appendleft((delivery.message, delivery.redeliveries + 1))
                self._changed.notify_all()

    def stop(self) -> None:
        """Deliver nothing more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def close(self) -> None:
        """Wake all waiting threads and drop queued messages."""
        with self._changed:
            self._closed = self._stopped = True
            self._ready.clear()
            self._changed.notify_all()

    def _has_room(self) -> bool:
        full = len(self._ready) >= self._capacity
        # Retries must not hold up first attempts.
        return self._closed or not (full or len(self._delayed) >= _DELAYED_PER_READY * self._capacity)

    def _take_due(self) -> bool:
        """Move due messages to the ready ones; tell whether there are any."""
        while self._delayed and self._next_due() <= time.monotonic():
            self._ready.append((heapq.heappop(self._delayed)[2], 0))
        return bool(self._ready)

    def _next_due(self) -> float:
        return self._delayed[0][0] if self._delayed else float("inf")

    def _deliver(self, message: Message, redeliveries: int) -> Delivery:
        delivery = Delivery(message, next(self._tags), redeliveries)
        self._unacked[delivery.tag] = delivery
        return delivery
