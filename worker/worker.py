"""The worker: receive deliveries, handle many at a time, and stop in good order."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from shared.broker import Consumer, Publisher
from shared.classifier.classifier import Classifier
from shared.errors import ResourceError
from shared.fetching.fetcher import Fetcher
from shared.store.store import RecordedModel, Store
from worker.conditional_requests import ConditionalRequests
from worker.denied import DenyList
from worker.fetching import PoliteFetcher
from worker.frontier.frontier import Frontier, Turn
from worker.frontier.line import Errand
from worker.frontier.politeness import PolitenessPolicy
from worker.frontier.turns import FrontierPlan
from worker.handling import Handling
from worker.heartbeat import BusyTracker
from worker.job_cache import JobCache
from worker.label_cache import LabelCache
from worker.observing import NoObserver, Observer
from worker.poison import PoisonGuard
from worker.robots_book import RobotsBook, Web
from worker.saving import Saver
from worker.store_retry import StoreRetry

T = TypeVar("T")

_log = logging.getLogger("smartsight.worker")

#: How long one look at an empty queue takes, in seconds.
_RECEIVE_WAIT = 0.2
#: One waits to be told to stop, one for the broker's deliveries; the others for store and broker.
_WAITING_THREADS = 6


@dataclass(frozen=True)
class Plan:
    """How a worker works: how many classes to keep, how much at a time, when to try again."""

    top: int
    #: Items fetched at the same time.
    concurrency: int
    #: Seconds before the second, third, ... attempt; after the last one a transient failure is final.
    retry_delays: Sequence[float]
    #: How long what is in hand may take when the worker is told to stop, in seconds.
    grace: float
    #: Whether to wait while the store is away, rather than to fail.
    wait_for_store: bool
    #: How strangers' hosts are treated.
    policy: PolitenessPolicy = field(default_factory=lambda: PolitenessPolicy(2, 0.25, (15.0, 120.0, 900.0)))
    #: How long one request may take, in seconds.
    longest_request: float = 20.0
    #: The only job of which items are taken that wait in the store; any, if there is none.
    only_job: int | None = None
    #: Longest side of the thumbnails that are kept, in pixels; 0 keeps none.
    thumbnail_side: int = 0

    def frontier_plan(self) -> FrontierPlan:
        """Return what of this concerns the deliveries that have not gone yet."""
        return FrontierPlan(2 * self.concurrency, self.policy, self.longest_request, self.only_job)


@dataclass(frozen=True)
class Sources:
    """Where images come from: what fetches them, and what spares hosts and reads their rules, if any."""

    fetcher: Fetcher
    web: Web | None = None

    def throttled_host(self, url: str) -> str | None:
        """Return the host that a URL calls, if it is to be spared."""
        return self.web.throttled_host(url) if self.web else None

    def polite_fetcher(self, store: Store, store_retry: StoreRetry, denied: DenyList) -> PoliteFetcher:
        """Return what asks hosts, as far as they want to be asked."""
        robots = RobotsBook(self.web, store, store_retry) if self.web else None
        return PoliteFetcher(self.fetcher, robots, denied)


class Worker:
    """Labels what the broker delivers; ``cores`` runs what needs a core, such as decoding."""

    def __init__(
        self,
        consumer: Consumer,
        publisher: Publisher,
        store: Store,
        sources: Sources,
        open_model: Callable[[RecordedModel], Classifier],
        cores: Executor,
        plan: Plan,
        observer: Observer | None = None,
        busy_tracker: BusyTracker | None = None,
    ) -> None:
        self._consumer, self._fetcher, self._plan = consumer, sources.fetcher, plan
        self._stopping = threading.Event()
        # Of their own: in asyncio's, slow look-ups of host names would hold up the store.
        self._waiting = ThreadPoolExecutor(_WAITING_THREADS)
        #: Handlers that have something to do.
        self._in_hand: set[asyncio.Task[None]] = set()
        store_retry, observer = (
            StoreRetry(self._waiting, self._stopping, plan.wait_for_store),
            observer or NoObserver(),
        )
        poison_guard, denied = PoisonGuard(store, store_retry), DenyList(store, store_retry)
        self._frontier = Frontier(store, consumer, store_retry, sources.throttled_host, plan.frontier_plan())
        self._saver = Saver(store, self._frontier.acks, store_retry, observer, poison_guard)
        self._handling = Handling(
            frontier=self._frontier,
            publisher=publisher,
            polite_fetcher=sources.polite_fetcher(store, store_retry, denied),
            denied=denied,
            job_cache=JobCache(store, store_retry, open_model),
            known=LabelCache(store, store_retry),
            conditional_requests=ConditionalRequests(store, store_retry),
            poison_guard=poison_guard,
            saver=self._saver,
            store_retry=store_retry,
            observer=observer,
            busy_tracker=busy_tracker or BusyTracker(),
            cores=cores,
            top=plan.top,
            retry_delays=plan.retry_delays,
            thumbnail_side=plan.thumbnail_side,
        )

    def stop(self) -> None:
        """Take nothing more from the broker; ``run`` ends when what is in hand is stored or handed back."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until told to stop; raise ``ResourceError`` if the store fails: nothing is acked then.

        One that waits for its store does so, and when told to stop meanwhile hands back what it has.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._saver.run())
                group.create_task(self._frontier.run())
                await self._run_handlers()
                await self._saver.finish()
                self._frontier.stop()
            await self._frontier.close()
        except ExceptionGroup as failures:
            failure = _first(failures)
            if not (
                self._plan.wait_for_store and self._stopping.is_set() and isinstance(failure, ResourceError)
            ):
                raise failure from failures
            _log.warning("stopped without the store: what was in hand goes back to the queue: %s", failure)
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
            room = await self._frontier.room()
            for delivery in await self._in_thread(self._consumer.receive, room, _RECEIVE_WAIT):
                self._frontier.put(Errand(delivery, delivery.message.ref))

    async def _handle_all(self) -> None:
        while not self._stopping.is_set():
            await self._handle(await self._frontier.next())

    async def _handle(self, turn: Turn) -> None:
        handler = asyncio.current_task()
        assert handler is not None
        self._in_hand.add(handler)
        try:
            await self._handling.handle(turn)
        except asyncio.CancelledError:
            self._frontier.acks.release(turn.errand.delivery)
            raise
        finally:
            turn.close()
            self._in_hand.discard(handler)

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._waiting, function, *arguments)


def _first(failures: ExceptionGroup[Exception]) -> Exception:
    """Return the first failure of nested task groups: one is enough to stop, and to tell."""
    failure: Exception = failures
    while isinstance(failure, ExceptionGroup):
        failure = failure.exceptions[0]
    return failure
