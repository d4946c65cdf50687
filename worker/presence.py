"""A worker's presence in the store: people are told when a job waits and no worker is running."""

import asyncio
import uuid

from shared.errors import ResourceError
from shared.store.store import Store
from worker.store_retry import StoreRetry

#: Seconds between two signs of life; the store believes one for a minute.
_INTERVAL = 10.0


class Presence:
    """Notes in the store that this worker runs, for all jobs or for one only."""

    def __init__(self, store: Store, store_retry: StoreRetry, only_job: int | None) -> None:
        self._store = store
        self._call = store_retry.call
        self._only_job = only_job
        self._name = uuid.uuid4().hex

    async def run(self) -> None:
        """Note it now and then, until cancelled. Raises ``ResourceError`` if the store cannot be used."""
        while True:
            await self._call(self._store.workers.note, self._name, self._only_job)
            await asyncio.sleep(_INTERVAL)

    async def end(self) -> None:
        """Note that this worker stops; if the store is away, it is forgotten there after a while."""
        try:
            await self._call(self._store.workers.remove, self._name)
        except ResourceError:
            return
