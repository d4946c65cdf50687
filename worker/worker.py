"""The worker: receive deliveries, handle many at a time, and stop in good order."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

from shared.broker import Consumer, Delivery, Publisher
from shared.classifier.classifier import Classifier
from shared.errors import ResourceError
from shared.store.store import RecordedModel
from worker.fetching.fetcher import Fetcher
from worker.handling import Handling
from worker.observing import NoObserver, Observer
from worker.orders import JobStore, Orders
from worker.patience import Patience
from worker.pulse import Pulse
from worker.reuse import KnownImages, LabelStore
from worker.saving import ResultStore, Saver
from worker.suspects import Suspects, TrialStore

T = TypeVar("T")

_log = logging.getLogger("smartsight.worker")

#: How long one look at an empty queue takes, in seconds.
_RECEIVE_WAIT = 0.2
#: One waits to be told to stop, one for the broker's deliveries; the others for store and broker.
_WAITING_THREADS = 6


class WorkerStore(ResultStore, JobStore, LabelStore, TrialStore, Protocol):
    """What a worker needs of the store."""


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
    patient: bool


class Worker:
    """Labels what the broker delivers; ``cores`` runs what needs a core, such as decoding."""

    def __init__(
        self,
        consumer: Consumer,
        publisher: Publisher,
        store: WorkerStore,
        fetcher: Fetcher,
        open_model: Callable[[RecordedModel], Classifier],
        cores: Executor,
        plan: Plan,
        observer: Observer | None = None,
        pulse: Pulse | None = None,
    ) -> None:
        self._consumer = consumer
        self._fetcher = fetcher
        self._plan = plan
        self._stopping = threading.Event()
        # Of their own: in asyncio's, slow look-ups of host names would hold up the store.
        self._waiting = ThreadPoolExecutor(_WAITING_THREADS)
        self._inbox: asyncio.Queue[Delivery | None] = asyncio.Queue(plan.concurrency)
        patience = Patience(self._waiting, self._stopping, plan.patient)
        observer = observer or NoObserver()
        self._saver = Saver(store, consumer, patience, observer)
        self._handling = Handling(
            consumer=consumer,
            publisher=publisher,
            fetcher=fetcher,
            orders=Orders(store, patience, open_model),
            known=KnownImages(store, patience),
            suspects=Suspects(store, patience),
            saver=self._saver,
            patience=patience,
            observer=observer,
            pulse=pulse or Pulse(),
            cores=cores,
            top=plan.top,
            retry_delays=plan.retry_delays,
        )

    def stop(self) -> None:
        """Take nothing more from the broker; ``run`` ends when what is in hand is stored or handed back."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until told to stop; raise ``ResourceError`` if the store fails: nothing is acked then.

        A patient worker waits for its store instead, and when told to stop meanwhile hands back what it has.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._saver.run())
                await self._run_handlers()
                await self._saver.finish()
        except ExceptionGroup as failures:
            failure = _first(failures)
            if not (self._plan.patient and self._stopping.is_set() and isinstance(failure, ResourceError)):
                raise failure from failures
            _log.warning("stopped without the store: what was in hand goes back to the queue: %s", failure)
        finally:
            self._stopping.set()
            self._waiting.shutdown(wait=False)
            await self._fetcher.close()

    async def _run_handlers(self) -> None:
        """Receive and handle until told to stop; then give what is in hand some time, and return the rest."""
        async with asyncio.TaskGroup() as group:
            handlers = [group.create_task(self._handle_all()) for _ in range(self._plan.concurrency)]
            receiving = group.create_task(self._receive())
            await self._in_thread(self._stopping.wait)
            await self._in_thread(self._consumer.stop)
            while not receiving.done():
                self._release_inbox()
                await asyncio.wait([receiving], timeout=_RECEIVE_WAIT)
            self._release_inbox()
            for _ in handlers:
                self._inbox.put_nowait(None)
            _finished, late = await asyncio.wait(handlers, timeout=self._plan.grace)
            for handler in late:
                handler.cancel()

    async def _receive(self) -> None:
        while not self._stopping.is_set():
            limit = self._plan.concurrency
            for delivery in await self._in_thread(self._consumer.receive, limit, _RECEIVE_WAIT):
                await self._inbox.put(delivery)

    def _release_inbox(self) -> None:
        while not self._inbox.empty():
            if delivery := self._inbox.get_nowait():
                self._consumer.release(delivery)

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._waiting, function, *arguments)

    async def _handle_all(self) -> None:
        while delivery := await self._inbox.get():
            try:
                await self._handling.handle(delivery)
            except asyncio.CancelledError:
                self._consumer.release(delivery)
                raise


def _first(failures: ExceptionGroup[Exception]) -> Exception:
    """Return the first failure of nested task groups: one is enough to stop, and to tell."""
    failure: Exception = failures
    while isinstance(failure, ExceptionGroup):
        failure = failure.exceptions[0]
    return failure
