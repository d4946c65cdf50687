"""Limit concurrent work; requests beyond the queue are refused at once."""

import asyncio
from collections.abc import AsyncIterator, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager

from shared.budgets import Budget
from shared.errors import Code, RequestError

#: Value of ``Retry-After`` for refused requests, in seconds.
_RETRY_AFTER = 1.0


class Turns:
    """Work of which a little is done at a time; a limited number waits, and of each holder a part of it."""

    def __init__(self, concurrent: int, waiting: Budget) -> None:
        self._slots = asyncio.Semaphore(concurrent)
        self._waiting = waiting

    @asynccontextmanager
    async def turn(self, holder: Hashable) -> AsyncIterator[None]:
        """Wait for a slot; raise ``RequestError(at_capacity)`` at once if too many wait."""
        with self._waiting.reserve(holder):
            async with self._slots:
                yield


class Capacity:
    """A limit on requests in progress and on those in the queue behind them."""

    def __init__(self, concurrent: int, queued: int) -> None:
        self._limit = concurrent + queued
        self._admitted = 0
        self._slots = asyncio.Semaphore(concurrent)

    def check(self) -> None:
        """Raise ``RequestError(at_capacity)`` if the queue is full: cheaper before the body is read."""
        if self._admitted >= self._limit:
            raise RequestError(Code.AT_CAPACITY, retry_after=_RETRY_AFTER)

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Enter the queue; raise ``RequestError(at_capacity)`` if it is full."""
        self.check()
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Wait for a slot, first come, first served."""
        async with self._slots:
            yield
