"""The broker boundary, and the broker that needs no server: a queue inside this process."""

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from shared.items import Message

#: How many delayed messages there may be for each ready one.
_DELAYED_PER_READY = 100


class BrokerClosedError(Exception):
    """The broker was closed: nothing more can be published."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One receipt of a message by a worker; ``tag`` names it to the broker."""

    message: Message
    tag: int
    redelivered: bool = False


class Broker(Protocol):
    """Delivers messages at least once. The store is the truth; a broker may forget all at any time."""

    def publish(self, messages: Iterable[Message], delay: float = 0) -> None:
        """Hand messages over, to be delivered after ``delay`` seconds; wait while the queue is full.

        Raises ``BrokerClosedError``.
        """
        ...

    def receive(self, limit: int, wait: float) -> list[Delivery]:
        """Return up to ``limit`` deliveries, waiting ``wait`` seconds for the first."""
        ...

    def ack(self, delivery: Delivery) -> None:
        """Say that a delivery's result is stored: it will not come again."""
        ...

    def release(self, delivery: Delivery) -> None:
        """Hand a delivery back: it will come again, marked as redelivered."""
        ...


class InProcessBroker:
    """A bounded queue in memory, for one process; safe to use from several threads."""

    def __init__(self, capacity: int = 1000) -> None:
        self._capacity = capacity
        self._ready: deque[tuple[Message, bool]] = deque()
        self._delayed: list[tuple[float, int, Message]] = []
        self._unacked: dict[int, Message] = {}
        self._tags = itertools.count(1)
        self._changed = threading.Condition()
        self._closed = False

    def publish(self, messages: Iterable[Message], delay: float = 0) -> None:
        """See ``Broker``. Delayed messages never wait: their publisher is the one who empties the queue."""
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
            self._ready.append((message, False))

    def receive(self, limit: int, wait: float) -> list[Delivery]:
        """See ``Broker``."""
        deadline = time.monotonic() + wait
        with self._changed:
            while not self._take_due() and not self._closed:
                remaining = min(deadline, self._next_due()) - time.monotonic()
                if remaining <= 0:
                    break
                self._changed.wait(remaining)
            count = min(limit, len(self._ready))
            deliveries = [self._deliver(*self._ready.popleft()) for _ in range(count)]
            self._changed.notify_all()
            return deliveries

    def ack(self, delivery: Delivery) -> None:
        """See ``Broker``."""
        with self._changed:
            self._unacked.pop(delivery.tag, None)

    def release(self, delivery: Delivery) -> None:
        """See ``Broker``."""
        with self._changed:
            message = self._unacked.pop(delivery.tag, None)
            if message is not None:
                self._ready.appendleft((message, True))
                self._changed.notify_all()

    def close(self) -> None:
        """Wake everybody who waits; what is still queued is forgotten."""
        with self._changed:
            self._closed = True
            self._ready.clear()
            self._changed.notify_all()

    def _has_room(self) -> bool:
        full = len(self._ready) >= self._capacity
        # Messages that wait for another attempt must not hold up those that wait for their first.
        return self._closed or not (full or len(self._delayed) >= _DELAYED_PER_READY * self._capacity)

    def _take_due(self) -> bool:
        """Move what is due to the ready messages; tell whether there are any."""
        while self._delayed and self._next_due() <= time.monotonic():
            self._ready.append((heapq.heappop(self._delayed)[2], False))
        return bool(self._ready)

    def _next_due(self) -> float:
        return self._delayed[0][0] if self._delayed else float("inf")

    def _deliver(self, message: Message, redelivered: bool) -> Delivery:
        tag = next(self._tags)
        self._unacked[tag] = message
        return Delivery(message, tag, redelivered)
