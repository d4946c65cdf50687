"""The worker: what becomes of a delivery, from receipt to ack."""

import asyncio
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from shared.broker import BrokerClosedError, Consumer, Delivery, Publisher
from shared.classifier.classifier import Classifier
from shared.errors import Code, ItemError
from shared.items import Evidence, Message, Result
from worker.fetch import Fetched, Fetcher
from worker.results import failed, succeeded
from worker.saving import ResultStore, Saver

T = TypeVar("T")

_log = logging.getLogger("smartsight.worker")

#: How long one look at an empty queue takes, in seconds.
_RECEIVE_WAIT = 0.2
#: One waits to be told to stop, one for the broker's deliveries, one for the store; one publishes retries.
_WAITING_THREADS = 4
#: How long what is in hand may take when the worker is told to stop, in seconds; the rest is handed back.
_GRACE = 3.0


@dataclass(frozen=True)
class Plan:
    """How a worker works: which model, how many classes to keep, how much at a time, when to try again."""

    model_id: int
    top: int
    #: Items fetched at the same time.
    concurrency: int
    #: Seconds before the second, third, ... attempt; after the last one a transient failure is final.
    retry_delays: Sequence[float]


class Worker:
    """Labels what the broker delivers.

    ``threads`` runs what needs a core: decode and predict. Each delivery goes through ``_handle``, from
    its top to its bottom.
    """

    def __init__(
        self,
        consumer: Consumer,
        publisher: Publisher,
        store: ResultStore,
        fetcher: Fetcher,
        classifier: Classifier,
        threads: Executor,
        plan: Plan,
    ) -> None:
        self._consumer = consumer
        self._publisher = publisher
        self._fetcher = fetcher
        self._classifier = classifier
        self._threads = threads
        self._plan = plan
        # Of their own: in asyncio's, slow look-ups of host names would hold up the store.
        self._waiting = ThreadPoolExecutor(_WAITING_THREADS)
        self._saver = Saver(store, consumer, self._waiting)
        self._inbox: asyncio.Queue[Delivery | None] = asyncio.Queue(plan.concurrency)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Take nothing more from the broker; ``run`` ends when what is in hand is stored or handed back."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until told to stop; raise ``ResourceError`` if the store fails: nothing is acked then."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._saver.run())
                await self._run_handlers()
                await self._saver.finish()
        except ExceptionGroup as failures:
            raise _first(failures) from failures
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
            while not receiving.done():
                self._release_inbox()
                await asyncio.wait([receiving], timeout=_RECEIVE_WAIT)
            self._release_inbox()
            for _ in handlers:
                self._inbox.put_nowait(None)
            _finished, late = await asyncio.wait(handlers, timeout=_GRACE)
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
                await self._handle(delivery)
            except asyncio.CancelledError:
                self._consumer.release(delivery)
                raise

    async def _handle(self, delivery: Delivery) -> None:
        message = delivery.message
        try:
            result = await self._label(message)
        except ItemError as error:
            if error.code.transient and message.attempt <= len(self._plan.retry_delays):
                await self._retry(delivery)
                return
            result = failed(message, self._plan.model_id, error, Evidence(http_status=error.http_status))
        await self._saver.save(delivery, result)

    async def _label(self, message: Message) -> Result:
        try:
            started = time.monotonic()
            fetched = await self._fetcher.fetch(message.ref)
            fetch_ms = _milliseconds_since(started)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._classify, message, fetched, fetch_ms)
        except ItemError:
            raise
        except Exception as error:  # a defect of ours costs one item, with a report, and not the job
            _log.exception("job %s, item %s: unexpected failure", message.job_id, message.index)
            raise ItemError(Code.INTERNAL_ERROR, type(error).__name__) from error

    def _classify(self, message: Message, fetched: Fetched, fetch_ms: float) -> Result:
        started = time.monotonic()
        content = fetched.read()
        evidence = Evidence(
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            final_url=fetched.final_url,
            http_status=fetched.http_status,
            fetch_ms=fetch_ms,
        )
        try:
            found = self._classifier.classify(content, self._plan.top)
        except ItemError as error:
            if error.code.transient:
                raise
            return failed(message, self._plan.model_id, error, evidence)
        evidence = replace(evidence, label_ms=_milliseconds_since(started))
        return succeeded(message, self._plan.model_id, found, evidence)

    async def _retry(self, delivery: Delivery) -> None:
        message = delivery.message
        delay = self._plan.retry_delays[message.attempt - 1]
        again = replace(message, attempt=message.attempt + 1)
        try:
            await self._in_thread(self._publisher.publish, [again], delay)
        except BrokerClosedError:
            return
        self._consumer.ack(delivery)


def _first(failures: ExceptionGroup[Exception]) -> Exception:
    """Return the first failure of nested task groups: one is enough to stop, and to tell."""
    failure: Exception = failures
    while isinstance(failure, ExceptionGroup):
        failure = failure.exceptions[0]
    return failure


def _milliseconds_since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 3)
