"""What becomes of one delivery, from its receipt to its ack."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TypeVar

from shared.broker import BrokerClosedError, Consumer, Delivery, Publisher
from shared.classifier.classifier import Classification, Classifier
from shared.errors import Code, ItemError, ResourceError
from shared.items import Evidence, Message, Result
from worker.fetching.fetcher import Fetched, Fetcher
from worker.observing import Observer
from worker.orders import Orders
from worker.patience import Patience
from worker.pulse import Pulse
from worker.results import Labels, failed, succeeded
from worker.reuse import KnownImages
from worker.saving import Saver
from worker.suspects import Suspects

T = TypeVar("T")

_log = logging.getLogger("smartsight.worker")


@dataclass(frozen=True)
class Handling:
    """Handles deliveries, any number at a time.

    ``cores`` runs what needs a core: reading, decoding and predicting. ``retry_delays`` are the seconds
    before the second, third, ... attempt; after the last one a transient failure is final.
    """

    consumer: Consumer
    publisher: Publisher
    fetcher: Fetcher
    orders: Orders
    known: KnownImages
    suspects: Suspects
    saver: Saver
    patience: Patience
    observer: Observer
    pulse: Pulse
    cores: Executor
    top: int
    retry_delays: Sequence[float]

    async def handle(self, delivery: Delivery) -> None:
        """Bring one delivery to its end: a result that is on its way to the store, or another attempt."""
        message = delivery.message
        model_id = await self.orders.model_of(message)
        if model_id is None:
            self.consumer.ack(delivery)
            return
        try:
            result = await self._label(delivery, model_id)
        except ItemError as error:
            if error.code.transient and message.attempt <= len(self.retry_delays):
                await self._retry(delivery, error)
                return
            result = failed(message, model_id, error, Evidence(http_status=error.http_status))
        await self.saver.save(delivery, result)

    async def _label(self, delivery: Delivery, model_id: int) -> Result:
        message = delivery.message
        try:
            classifier = await self.orders.classifier(model_id)
            started = time.monotonic()
            fetched = await self.fetcher.fetch(message.ref)
            seconds = time.monotonic() - started
            self.observer.took("fetch", seconds)
            content, evidence = await self._on_a_core(_read, fetched, seconds)
            return await self._classify(delivery, model_id, classifier, content, evidence)
        except (ItemError, ResourceError):
            raise
        except Exception as error:  # a defect of ours costs one item, with a report, and not the job
            _log.exception("unexpected failure", extra={"job": message.job_id, "item": message.index})
            raise ItemError(Code.INTERNAL_ERROR, type(error).__name__) from error

    async def _classify(
        self, delivery: Delivery, model_id: int, classifier: Classifier, content: bytes, evidence: Evidence
    ) -> Result:
        """Return the result of fetched bytes; transient failures are raised, permanent ones are results."""
        label_ms: float | None = None

        async def classify() -> Labels:
            nonlocal label_ms
            async with self.suspects.guarded(delivery):
                found, seconds = await self._on_a_core(_timed, classifier, content, self.top)
                self.observer.took("label", seconds)
                label_ms = _milliseconds(seconds)
                return Labels.of(found)

        message = delivery.message
        enough = min(self.top, len(classifier.model.labels))
        try:
            key = model_id, str(evidence.sha256)
            labels, reused = await self.known.labels(key, enough, classify)
        except ItemError as error:
            if error.code.transient:
                raise
            return failed(message, model_id, error, evidence)
        evidence = replace(evidence, label_ms=label_ms)
        return succeeded(message, model_id, labels, self.top, evidence, reused)

    async def _retry(self, delivery: Delivery, error: ItemError) -> None:
        message = delivery.message
        asked = max(self.retry_delays[message.attempt - 1], error.retry_after or 0)
        again = replace(message, attempt=message.attempt + 1)
        delay = next((delay for delay in self.retry_delays if delay >= asked), self.retry_delays[-1])
        try:
            await self.patience.call(self._publish, again, delay)
        except BrokerClosedError:
            return
        self.observer.put_off(error.code)
        self.consumer.ack(delivery)

    def _publish(self, message: Message, delay: float) -> None:
        self.publisher.publish([message], delay)

    async def _on_a_core(self, function: Callable[..., T], *arguments: object) -> T:
        def work() -> T:
            with self.pulse.busy():
                return function(*arguments)

        return await asyncio.get_running_loop().run_in_executor(self.cores, work)


def _read(fetched: Fetched, fetch_seconds: float) -> tuple[bytes, Evidence]:
    content = fetched.read()
    return content, Evidence(
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        final_url=fetched.final_url,
        http_status=fetched.http_status,
        fetch_ms=_milliseconds(fetch_seconds),
    )


def _timed(classifier: Classifier, content: bytes, top: int) -> tuple[Classification, float]:
    """Classify, and measure that alone: before it, an image waits for a core to be free."""
    started = time.monotonic()
    return classifier.classify(content, top), time.monotonic() - started


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
