"""The worker: receive deliveries, handle many at a time, and stop in good order."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from shared.broker import Consumer, Publisher
from shared.errors import ResourceError
from shared.fetching.fetcher import Fetcher
from shared.store.store import Store
from worker.delivery import DeliveryHandler, Inference, Labeller, RetryScheduler
from worker.fetch_task import DeliveryAcks, FetchTask
from worker.fetching import DenyListChecker, PoliteFetcher, RobotsCache
from worker.host_leases import HostLeases, StoreClock
from worker.host_queues import HostQueues, HostSlot, QueuePlan
from worker.job_cache import JobCache, ModelCache
from worker.label_cache import LabelCache
from worker.observer import NoObserver, Observer
from worker.poison import PoisonGuard
from worker.politeness import PolitenessPolicy
from worker.presence import Presence
from worker.saving import ResultSaver
from worker.store_retry import StoreRetry

if TYPE_CHECKING:
    from shared.fetching.web import WebFetcher

T = TypeVar("T")

_log = logging.getLogger("smartsight.worker")

#: How long one look at an empty queue takes, in seconds.
_RECEIVE_WAIT = 0.2
#: One waits to be told to stop, one for the broker's deliveries; the others for store and broker.
_WAITING_THREADS = 6


@dataclass(frozen=True)
class WorkerPlan:
    """How a worker works: how many classes to keep, how much at a time, when to try again."""

    top: int
    #: Items fetched at the same time.
    concurrency: int
    #: Seconds before the second, third, ... attempt; after the last one a transient failure is final.
    retry_delays: Sequence[float]
    #: Seconds to finish the deliveries in hand when the worker is told to stop.
    grace: float
    #: Whether to retry while the store is unavailable, rather than to fail.
    wait_for_store: bool
    policy: PolitenessPolicy = field(default_factory=lambda: PolitenessPolicy(2, 0.25, (15.0, 120.0, 900.0)))
    #: How long one request may take, in seconds.
    request_timeout: float = 20.0
    #: The job that this process runs for itself; None for a worker, which works on all others.
    only_job: int | None = None
    #: Longest side of the thumbnails that are kept, in pixels; 0 keeps none.
    thumbnail_side: int = 0


@dataclass(frozen=True)
class Backends:
    """The store, and both sides of the broker."""

    store: Store
    consumer: Consumer
    publisher: Publisher


@dataclass(frozen=True)
class Fetchers:
    """What fetches images; with a ``web``, its hosts are throttled and their robots.txt is obeyed."""

    images: Fetcher
    web: "WebFetcher | None" = None

    def throttled_host(self, url: str) -> str | None:
        """Return the host of a URL if it is to be throttled."""
        return self.web.throttled_host(url) if self.web else None

    def own_host(self, url: str) -> str | None:
        """Return the host of a URL if it is our own."""
        return self.web.own_host(url) if self.web else None


class Worker:
    """Labels what the broker delivers: receives, lets many handlers work, and stops in good order."""

    def __init__(
        self,
        backends: Backends,
        fetchers: Fetchers,
        inference: Inference,
        plan: WorkerPlan,
        observer: Observer | None = None,
    ) -> None:
        store, observer = backends.store, observer or NoObserver()
        self._consumer, self._fetcher, self._plan = backends.consumer, fetchers.images, plan
        self._stopping = threading.Event()
        # Of their own: in asyncio's, slow look-ups of host names would hold up the store.
        self._waiting = ThreadPoolExecutor(_WAITING_THREADS)
        #: Handlers that have a delivery in hand.
        self._in_hand: set[asyncio.Task[None]] = set()
        retry = StoreRetry(self._waiting, self._stopping, plan.wait_for_store)
        clock = StoreClock()
        queue_plan = QueuePlan(2 * plan.concurrency, plan.policy, plan.request_timeout)
        self._queues = HostQueues(queue_plan, fetchers.throttled_host, clock.now, fetchers.own_host)
        self._acks = DeliveryAcks(backends.consumer)
        self._leases = HostLeases(store, retry, self._queues, self._acks, clock, plan.only_job, observer)
        poison, deny_list = PoisonGuard(store, retry), DenyListChecker(store, retry)
        label_cache = LabelCache(store, retry)
        robots = RobotsCache(fetchers.web, store, retry) if fetchers.web else None
        self._presence = Presence(store, retry, plan.only_job)
        self._saver = ResultSaver(store, self._acks, retry, observer, poison, label_cache)
        self._handler = DeliveryHandler(
            queues=self._queues,
            acks=self._acks,
            jobs=JobCache(store, retry, plan.only_job),
            models=ModelCache(store, retry, inference.open_model),
            label_cache=label_cache,
            fetcher=PoliteFetcher(fetchers.images, robots, deny_list, observer),
            labeller=Labeller(
                label_cache, deny_list, poison, inference, observer, plan.top, plan.thumbnail_side
            ),
            retries=RetryScheduler(
                queues=self._queues,
                acks=self._acks,
                publisher=backends.publisher,
                store=store,
                store_retry=retry,
                observer=observer,
                delays=plan.retry_delays,
                longest_attempt=plan.request_timeout,
            ),
            saver=self._saver,
        )

    def stop(self) -> None:
        """Receive nothing more; ``run`` ends when the deliveries in hand are stored or handed back."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until told to stop; raise ``ResourceError`` if the store fails: nothing is acked then.

        With ``wait_for_store`` it waits for the store instead; when told to stop then, it hands
        back what it has in hand.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._saver.run())
                group.create_task(self._leases.run())
                presence = group.create_task(self._presence.run())
                await self._run_handlers()
                await self._saver.finish()
                self._leases.stop()
                presence.cancel()
            await self._leases.close()
            await self._presence.end()
        except ExceptionGroup as failures:
            failure = _first(failures)
            if not (
                self._plan.wait_for_store and self._stopping.is_set() and isinstance(failure, ResourceError)
            ):
                raise failure from failures
            # What was in hand goes back to the queue.
            _log.warning("stopped without the store", extra={"reason": str(failure)})
        finally:
            self._stopping.set()
            self._waiting.shutdown(wait=False)
            await self._fetcher.close()

    async def _run_handlers(self) -> None:
        """Receive and handle until told to stop; then give what is in hand some time, and return the rest."""
        async with asyncio.TaskGroup() as group:
            receiving = group.create_task(self._receive())
            handlers = [group.create_task(self._handle_all()) for _ in range(self._plan.concurrency)]
            await self._in_thread(self._stopping.wait)
            await self._in_thread(self._consumer.stop)
            await asyncio.wait([receiving], timeout=2 * _RECEIVE_WAIT)
            receiving.cancel()  # it can only wait for room now
            for handler in set(handlers) - self._in_hand:
                handler.cancel()
            _finished, late = await asyncio.wait(handlers, timeout=self._plan.grace)
            for handler in late:
                handler.cancel()

    async def _receive(self) -> None:
        while not self._stopping.is_set():
            room = await self._queues.room()
            for delivery in await self._in_thread(self._consumer.receive, room, _RECEIVE_WAIT):
                self._queues.put(FetchTask.of_delivery(delivery))

    async def _handle_all(self) -> None:
        while not self._stopping.is_set():
            await self._handle(*await self._queues.next())

    async def _handle(self, task: FetchTask, slot: HostSlot) -> None:
        handler = asyncio.current_task()
        assert handler is not None
        self._in_hand.add(handler)
        try:
            async with slot:
                await self._handler.handle(task, slot)
        except asyncio.CancelledError:
            self._acks.release(task)
            raise
        finally:
            self._in_hand.discard(handler)

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._waiting, function, *arguments)


def _first(failures: ExceptionGroup[Exception]) -> Exception:
    """Return the first failure of nested task groups: one is enough to stop, and to tell."""
    failure: Exception = failures
    while isinstance(failure, ExceptionGroup):
        failure = failure.exceptions[0]
    return failure
