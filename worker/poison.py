"""Poison messages: an item that may have killed a worker is tried alone, and a proven one not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from shared.errors import Code, ItemError
from shared.store.store import Store
from worker.fetch_task import FetchTask
from worker.store_retry import StoreRetry

#: Workers that an item may kill when it is alone; before, it killed one among others.
_TRIALS = 2


class SharedExclusiveLock:
    """A lock that many hold together, or one alone."""

    def __init__(self) -> None:
        self._holders = 0
        self._is_exclusive = False
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Hold it together with others."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._is_exclusive)
            self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
            await self._notify()

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Hold it alone."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._is_exclusive)
            self._is_exclusive = True
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: not self._holders)
            yield
        finally:
            self._is_exclusive = False
            await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class PoisonGuard:
    """Decides which tasks are decoded and classified together, and which one alone."""

    def __init__(self, store: Store, store_retry: StoreRetry) -> None:
        self._store = store
        self._store_retry = store_retry
        self._lock = SharedExclusiveLock()

    def shared(self) -> AbstractAsyncContextManager[None]:
        """Do something while no trial is on: if the process dies of it, no item is blamed."""
        return self._lock.shared()

    @asynccontextmanager
    async def guard(self, task: FetchTask) -> AsyncIterator[None]:
        """Decode and classify in this context: together with others, or alone if it was delivered before.

        Raises ``ItemError(worker_crashed)`` if the item has killed enough workers.
        """
        if not task.delivery.redeliveries:
            async with self._lock.shared():
                yield
            return
        async with self._lock.exclusive():
            if not await self._store_retry.call(self._store.poison.begin_trial, task.message, _TRIALS):
                raise ItemError(Code.WORKER_CRASHED, f"{_TRIALS + 1} workers died of it")
            try:
                yield
            finally:
                await self._store_retry.call(self._store.poison.end_trial, task.message)
