"""Keep apart what may kill a worker: who came back is tried alone, and a known killer not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from shared.broker import Delivery
from shared.errors import Code, ItemError
from shared.store.store import Store
from worker.store_retry import StoreRetry

#: Workers that an item may kill when it is alone; before, it killed one among others.
_TRIALS = 2


class SharedExclusiveLock:
    """Lets many through together, or one alone."""

    def __init__(self) -> None:
        self._inside = 0
        self._taken = False
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Be inside with others."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._taken)
            self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
            await self._tell()

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Be inside alone."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._taken)
            self._taken = True
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: not self._inside)
            yield
        finally:
            self._taken = False
            await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class PoisonGuard:
    """Decides in whose company an item is decoded and classified."""

    def __init__(self, store: Store, store_retry: StoreRetry) -> None:
        self._store = store
        self._store_retry = store_retry
        self._lock = SharedExclusiveLock()

    def shared(self) -> AbstractAsyncContextManager[None]:
        """Do something while nobody is tried: what kills the process now is not the fault of a suspect."""
        return self._lock.shared()

    @asynccontextmanager
    async def guard(self, delivery: Delivery) -> AsyncIterator[None]:
        """Enter the dangerous part: together with others, or alone if the delivery is not the first.

        Raises ``ItemError(worker_crashed)`` if the item has killed enough workers.
        """
        if not delivery.redeliveries:
            async with self._lock.shared():
                yield
            return
        async with self._lock.exclusive():
            if not await self._store_retry.call(self._store.poison.begin_trial, delivery.message, _TRIALS):
                raise ItemError(Code.WORKER_CRASHED, f"{_TRIALS + 1} workers died of it")
            try:
                yield
            finally:
                await self._store_retry.call(self._store.poison.end_trial, delivery.message)
