"""Store results in batches, and ack a delivery only when its result is committed."""

import asyncio
from collections.abc import Iterable
from concurrent.futures import Executor
from typing import Protocol

from shared.broker import Consumer, Delivery
from shared.items import Result

#: Results committed together at most.
_BATCH = 256
#: How long a result waits for others to be committed with it, in seconds.
_LINGER = 0.1


class ResultStore(Protocol):
    """What a worker needs of the store."""

    def save(self, new: Iterable[Result]) -> None:
        """See ``Store``."""
        ...


class Saver:
    """Takes results from many tasks and commits them in few transactions."""

    def __init__(self, store: ResultStore, broker: Consumer, threads: Executor) -> None:
        self._store = store
        self._threads = threads
        self._broker = broker
        self._inbox: asyncio.Queue[tuple[Delivery, Result] | None] = asyncio.Queue(4 * _BATCH)
        self._finished = False

    async def save(self, delivery: Delivery, result: Result) -> None:
        """Hand over a result, to be stored and then acked; wait while too many are in line."""
        await self._inbox.put((delivery, result))

    async def finish(self) -> None:
        """Say that nothing more comes: ``run`` ends when all is stored."""
        await self._inbox.put(None)

    async def run(self) -> None:
        """Store what comes until ``finish``; raise ``ResourceError`` if the store cannot be used."""
        while not self._finished:
            if batch := await self._next_batch():
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._threads, self._commit, batch)

    def _commit(self, batch: list[tuple[Delivery, Result]]) -> None:
        self._store.save(result for _, result in batch)
        for delivery, _ in batch:
            self._broker.ack(delivery)

    async def _next_batch(self) -> list[tuple[Delivery, Result]]:
        """Return what comes within the linger time of the first."""
        batch: list[tuple[Delivery, Result]] = []
        await self._take(batch)
        try:
            async with asyncio.timeout(_LINGER):
                while len(batch) < _BATCH and not self._finished:
                    await self._take(batch)
        except TimeoutError:
            pass  # whatever has come by now is the batch
        return batch

    async def _take(self, batch: list[tuple[Delivery, Result]]) -> None:
        entry = await self._inbox.get()
        if entry is None:
            self._finished = True
        else:
            batch.append(entry)
