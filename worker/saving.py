"""Store results in batches, and ack a task only when its result is committed."""

import asyncio
import logging
import time
from dataclasses import replace

from shared.errors import Code, ResourceError
from shared.items import Evidence, ItemState, Result
from shared.store.store import Store
from worker.fetch_task import DeliveryAcks, FetchTask
from worker.label_cache import LabelCache
from worker.observer import Observer
from worker.poison import PoisonGuard
from worker.store_retry import StoreRetry

_log = logging.getLogger("smartsight.worker")

#: Results committed together at most.
_BATCH = 256
#: How long a result waits for others to be committed with it, in seconds.
_LINGER = 0.1


class ResultSaver:
    """Takes results from many tasks and commits them in few transactions."""

    def __init__(
        self,
        store: Store,
        acks: DeliveryAcks,
        store_retry: StoreRetry,
        observer: Observer,
        poison: PoisonGuard,
        label_cache: LabelCache,
    ) -> None:
        self._store = store
        self._acks = acks
        self._store_retry = store_retry
        self._observer = observer
        self._poison = poison
        self._label_cache = label_cache
        self._inbox: asyncio.Queue[tuple[FetchTask, Result] | None] = asyncio.Queue(4 * _BATCH)
        self._finished = False

    async def save(self, task: FetchTask, result: Result) -> None:
        """Hand over a result, whose task is acked when it is stored; wait while too many are queued."""
        await self._inbox.put((task, result))

    async def finish(self) -> None:
        """Let ``run`` end when everything is stored; nothing may be saved after this."""
        await self._inbox.put(None)

    async def run(self) -> None:
        """Store results until ``finish``; raise ``ResourceError`` if the store cannot be used."""
        while not self._finished:
            if batch := await self._next_batch():
                started = time.monotonic()
                async with self._poison.shared():
                    unfounded = await self._save([result for _, result in batch])
                self._observer.stage_finished("save", time.monotonic() - started)
                for task, result in batch:
                    if unfounded and (result.job_id, result.index) in unfounded:
                        self._label_again(task, result)
                    else:
                        self._acks.ack(task)
                        self._observer.item_finished(result)

    def _label_again(self, task: FetchTask, result: Result) -> None:
        """Hand back a task whose labels were deleted before they could be stored with its item."""
        self._label_cache.forget((result.model_id, str(result.evidence.sha256)))
        self._acks.release(task)

    async def _save(self, results: list[Result]) -> set[tuple[int, int]]:
        """Store results, and return the places of those that reuse labels which are gone."""
        try:
            return await self._store_retry.call(self._store.results.save, results)
        except ResourceError as error:
            if error.code is not Code.DATABASE_REFUSED:
                raise
            # One bad result must not keep the others from the store, nor come back for ever.
            return {place for result in results for place in await self._save_alone(result)}

    async def _save_alone(self, result: Result) -> set[tuple[int, int]]:
        try:
            return await self._store_retry.call(self._store.results.save, [result])
        except ResourceError as error:
            if error.code is not Code.DATABASE_REFUSED:
                raise
            fields = {"job": result.job_id, "item": result.index, "reason": str(error)}
            _log.error("result refused", extra=fields)
            bare = replace(result, state=ItemState.FAILED, code=Code.INTERNAL_ERROR, class_ids=(), scores=())
            bare = replace(
                bare, detail="the database refused the result", evidence=Evidence(), thumbnail=None
            )
            return await self._store_retry.call(self._store.results.save, [bare])

    async def _next_batch(self) -> list[tuple[FetchTask, Result]]:
        """Return what comes within the linger time of the first."""
        batch: list[tuple[FetchTask, Result]] = []
        await self._take(batch)
        try:
            async with asyncio.timeout(_LINGER):
                while len(batch) < _BATCH and not self._finished:
                    await self._take(batch)
        except TimeoutError:
            pass  # whatever has come by now is the batch
        return batch

    async def _take(self, batch: list[tuple[FetchTask, Result]]) -> None:
        entry = await self._inbox.get()
        if entry is None:
            self._finished = True
        else:
            batch.append(entry)
