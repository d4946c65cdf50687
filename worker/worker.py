"""The worker: what becomes of a delivery, from receipt to ack."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from shared.broker import Broker, BrokerClosedError, Delivery
from shared.classifier.classifier import Classifier
from shared.errors import Code, ItemError
from shared.items import Evidence, Message, Result
from worker.fetch import Fetched, Fetcher
from worker.results import failed, succeeded
from worker.saving import ResultStore, Saver

_log = logging.getLogger("smartsight.worker")

#: How long one look at an empty queue takes, in seconds.
_RECEIVE_WAIT = 0.2
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
        broker: Broker,
        store: ResultStore,
        fetcher: Fetcher,
        classifier: Classifier,
        threads: Executor,
        plan: Plan,
    ) -> None:
        self._broker = broker
        self._fetcher = fetcher
        self._classifier = classifier
        self._threads = threads
        self._plan = plan
        self._saver = Saver(store, broker)
        self._inbox: asyncio.Queue[Delivery | None] = asyncio.Queue(plan.concurrency)
        self._stopping = False

    def stop(self) -> None:
        """Take nothing more from the broker; ``run`` ends when what is in hand is stored."""
        self._stopping = True

    async def run(self) -> None:
        """Work until told to stop; raise ``ResourceError`` if the store fails: nothing is acked then."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._saver.run())
                await self._run_handlers()
                await self._saver.finish()
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        finally:
            await self._fetcher.close()

    async def _run_handlers(self) -> None:
        async with asyncio.TaskGroup() as group:
            handlers = [group.create_task(self._handle_all()) for _ in range(self._plan.concurrency)]
            await self._receive()
            _finished, late = await asyncio.wait(handlers, timeout=_GRACE)
            for handler in late:
                handler.cancel()

    async def _receive(self) -> None:
        limit = self._plan.concurrency
        while not self._stopping:
            for delivery in await asyncio.to_thread(self._broker.receive, limit, _RECEIVE_WAIT):
                await self._inbox.put(delivery)
        for _ in range(limit):
            await self._inbox.put(None)

    async def _handle_all(self) -> None:
        while delivery := await self._inbox.get():
            if self._stopping:
                self._broker.release(delivery)
                continue
            try:
                await self._handle(delivery)
            except asyncio.CancelledError:
                self._broker.release(delivery)
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
            return failed(message, self._plan.model_id, error, evidence)
        evidence = replace(evidence, label_ms=_milliseconds_since(started))
        return succeeded(message, self._plan.model_id, found, evidence)

    async def _retry(self, delivery: Delivery) -> None:
        message = delivery.message
        delay = self._plan.retry_delays[message.attempt - 1]
        again = replace(message, attempt=message.attempt + 1)
        try:
            await asyncio.to_thread(self._broker.publish, [again], delay)
        except BrokerClosedError:
            return
        self._broker.ack(delivery)


def _milliseconds_since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 3)
