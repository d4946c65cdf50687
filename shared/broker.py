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
    """One receipt of a message by a worker; ``tag`` names it to the broker.

    ``redeliveries`` counts the deliveries before this one that came back: handed back, or their worker died.
    """

    message: Message
    tag: int
    redeliveries: int = 0


class Publisher(Protocol):
    """Where messages are handed to a broker.

    A broker delivers at least once. The store is the truth; a broker may forget all at any time.
    """

    def publish(self, messages: Iterable[Message], delay: float = 0) -> None:
        """Hand messages over, to be delivered after ``delay`` seconds.

        Returns when the broker has them all for good; waits while its queue is full or it is away.
        Raises ``BrokerClosedError`` when this side was closed meanwhile.
        """
        ...

    def depth(self) -> int | None:
        """Return how many messages wait to be delivered, without delayed ones; ``None`` if unknown now."""
        ...


class Consumer(Protocol):
    """Where a broker's messages are received; safe to use from several threads."""

    def receive(self, limit: int, wait: float) -> list[Delivery]:
        """Return up to ``limit`` deliveries, waiting ``wait`` seconds for the first."""
        ...

    def ack(self, delivery: Delivery) -> None:
        """Say that a delivery's result is stored: it will not come again.

        Does nothing if the broker has taken the delivery back meanwhile.
        """
        ...

    def release(self, delivery: Delivery) -> None:
        """Hand a delivery back: it will come again, with ``redeliveries`` one higher."""
        ...

    def stop(self) -> None:
        """Receive nothing more; what was received can still be acked or released."""
        ...


class InProcessBroker:
    """A bounded queue in memory, both sides of it, for one process; safe to use from several threads."""

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
        """See ``Publisher``. Delayed ones never wait: their publisher is the one who empties the queue."""
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
        """See ``Publisher``."""
        with self._changed:
            return len(self._ready)

    def receive(self, limit: int, wait: float) -> list[Delivery]:
        """See ``Consumer``."""
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
        """See ``Consumer``."""
        with self._changed:
            self._unacked.pop(delivery.tag, None)

    def release(self, delivery: Delivery) -> None:
        """See ``Consumer``."""
        with self._changed:
            if self._unacked.pop(delivery.tag, None):
                self._ready.appendleft((delivery.message, delivery.redeliveries + 1))
                self._changed.notify_all()

    def stop(self) -> None:
        """See ``Consumer``."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def close(self) -> None:
        """Wake everybody who waits; what is still queued is forgotten."""
        with self._changed:
            self._closed = self._stopped = True
            self._ready.clear()
            self._changed.notify_all()

    def _has_room(self) -> bool:
        full = len(self._ready) >= self._capacity
        # Messages that wait for another attempt must not hold up those that wait for their first.
        return self._closed or not (full or len(self._delayed) >= _DELAYED_PER_READY * self._capacity)

    def _take_due(self) -> bool:
        """Move what is due to the ready messages; tell whether there are any."""
        while self._delayed and self._next_due() <= time.monotonic():
            self._ready.append((heapq.heappop(self._delayed)[2], 0))
        return bool(self._ready)

    def _next_due(self) -> float:
        return self._delayed[0][0] if self._delayed else float("inf")

    def _deliver(self, message: Message, redeliveries: int) -> Delivery:
        delivery = Delivery(message, next(self._tags), redeliveries)
        self._unacked[delivery.tag] = delivery
        return delivery
