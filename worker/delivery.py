"""What becomes of one delivery: it is fetched, labelled and stored, or fetched again later."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from shared.broker import BrokerClosedError, Publisher
from shared.classifier.classifier import Classification, Classifier
from shared.errors import SKIPPED, Code, ItemError, ResourceError, printable
from shared.fetching.fetcher import Fetched, NotModified, Redirected
from shared.hosts import host_of
from shared.images import thumbnail
from shared.items import Evidence, ItemState, Message, Result, now
from shared.store.store import RecordedModel, Store, StoredResponse
from worker.fetch_task import DeliveryAcks, FetchTask
from worker.fetching import DenyListChecker, PoliteFetcher
from worker.heartbeat import BusyTracker
from worker.host_queues import HostQueues, HostSlot, PostponedError
from worker.job_cache import JobCache, LoadedModel, ModelCache
from worker.label_cache import LabelCache, Labels
from worker.observer import Observer
from worker.poison import PoisonGuard
from worker.saving import ResultSaver
from worker.store_retry import StoreRetry

T = TypeVar("T")

_log = logging.getLogger("smartsight.worker")


@dataclass(frozen=True)
class Inference:
    """What classifies: how a model is opened, and what runs work that needs a core, such as decoding."""

    open_model: Callable[[RecordedModel], Classifier]
    cores: Executor
    busy: BusyTracker = field(default_factory=BusyTracker)

    async def run(self, function: Callable[..., T], *arguments: object) -> T:
        """Return what the function returns, on a core."""

        def work() -> T:
            with self.busy.track():
                return function(*arguments)

        return await asyncio.get_running_loop().run_in_executor(self.cores, work)


@dataclass(frozen=True)
class Labeller:
    """Labels fetched images, the same bytes once. Without a ``thumbnail_side`` there are no thumbnails."""

    cache: LabelCache
    deny_list: DenyListChecker
    poison: PoisonGuard
    inference: Inference
    observer: Observer
    top: int
    thumbnail_side: int

    async def label(self, task: FetchTask, model: LoadedModel, fetched: Fetched, fetch_ms: float) -> Result:
        """Return the result of an image. Raises ``ItemError`` for a failure that may be transient."""
        content, evidence = await self.inference.run(_read, fetched, task.host, fetch_ms)
        try:
            result = await self._label_content(task, model, content, evidence)
        except ItemError as error:
            if error.code.transient:
                raise
            result = failed(task.message, model.id, error, evidence)
        if fetched.validators is None:
            return result
        return replace(result, revalidation=(task.message.ref, fetched.validators))

    def relabel(self, task: FetchTask, model: LoadedModel, known: StoredResponse, fetch_ms: float) -> Result:
        """Return the result of an image that has not changed."""
        before = known.result.evidence
        evidence = Evidence(
            host=task.host,
            bytes=before.bytes,
            sha256=before.sha256,
            final_url=known.validators.final_url,
            http_status=304,
            fetch_ms=fetch_ms,
        )
        labels = Labels.of_result(known.result)
        return _succeeded(task.message, model.id, labels, self.top, evidence, reused=True)

    async def _label_content(
        self, task: FetchTask, model: LoadedModel, content: bytes, evidence: Evidence
    ) -> Result:
        look: _Look | None = None

        async def classify() -> Labels:
            nonlocal look
            await self.deny_list.check_content(sha256)  # what has labels in the store is not denied
            async with self.poison.guard(task):
                look = await self.inference.run(
                    _look, model.classifier, content, self.top, self.thumbnail_side
                )
                self.observer.stage_finished("label", look.seconds)
                return Labels.of_classification(look.found)

        sha256 = str(evidence.sha256)
        enough = min(self.top, len(model.classifier.model.labels))
        labels, reused = await self.cache.by_content((model.id, sha256), enough, classify)
        if look is None:
            return _succeeded(task.message, model.id, labels, self.top, evidence, reused)
        evidence = replace(evidence, label_ms=_milliseconds(look.seconds))
        result = _succeeded(task.message, model.id, labels, self.top, evidence, reused)
        return replace(result, thumbnail=look.thumbnail)


@dataclass(frozen=True)
class RetryScheduler:
    """Puts the next attempt of an item off: ``delays`` are the seconds before its second, third, ... attempt.

    After the last one a transient failure is final. An attempt takes ``longest_attempt`` seconds at most.
    """

    queues: HostQueues
    acks: DeliveryAcks
    publisher: Publisher
    store: Store
    store_retry: StoreRetry
    observer: Observer
    delays: Sequence[float]
    longest_attempt: float

    async def is_over(self, task: FetchTask) -> bool:
        """Tell whether the item was given up while it waited for this attempt."""
        if task.message.attempt == 1:
            return False
        return await self.store_retry.call(self.store.retries.is_over, task.message)

    def may_retry(self, task: FetchTask, slot: HostSlot, error: ItemError) -> bool:
        """Tell whether an attempt is left; for a host that was given up it would be wasted."""
        is_left = task.message.attempt <= len(self.delays)
        return is_left and error.code.transient and error.code is not Code.HOST_DOWN and not slot.is_given_up

    async def schedule(self, task: FetchTask, slot: HostSlot, error: ItemError, failure: Result) -> None:
        """Move the next attempt to the queue of the host if that gets a pause, else to the broker.

        Until then the store has the failure, which is the item's result if it is given up.
        """
        message = replace(task.message, attempt=task.message.attempt + 1)
        again = replace(task, delivery=replace(task.delivery, message=message), url=message.ref, hops=0)
        is_busy = error.code is Code.RATE_LIMITED or error.http_status == 503
        waits_for_host = slot.is_throttled and is_busy
        delay = self._delay(task.message.attempt, error)
        seconds, longest = None if waits_for_host else delay, delay + self._seconds_after(message.attempt)
        await self.store_retry.call(self.store.retries.add, failure, seconds, longest)
        if waits_for_host:
            self.queues.postpone(again, slot.host)
        else:
            try:
                await self.store_retry.call(self.publisher.publish, [message], delay)
            except BrokerClosedError:
                return
            self.acks.ack(task)
        self.observer.retry_scheduled(error.code)

    def _delay(self, attempt: int, error: ItemError) -> float:
        least = max(self.delays[attempt - 1], error.retry_after or 0)
        return next((delay for delay in self.delays if delay >= least), self.delays[-1])

    def _seconds_after(self, attempt: int) -> float:
        """Return how long this attempt and all after it take at most, each with the pause before the next."""
        left = self.delays[attempt - 1 :]
        return sum(left) + (len(left) + 1) * self.longest_attempt


@dataclass(frozen=True)
class DeliveryHandler:
    """Handles deliveries, any number at a time."""

    queues: HostQueues
    acks: DeliveryAcks
    jobs: JobCache
    models: ModelCache
    label_cache: LabelCache
    fetcher: PoliteFetcher
    labeller: Labeller
    retries: RetryScheduler
    saver: ResultSaver

    async def handle(self, task: FetchTask, slot: HostSlot) -> None:
        """Bring a task to its result, which is on its way to the store then, or back into a queue."""
        model_id = await self.jobs.running_model(task.message.job_id)
        if model_id is None or await self.retries.is_over(task):
            self.acks.ack(task)
            return
        try:
            result = await self._fetch_and_label(task, slot, model_id)
        except ItemError as error:
            result = failed(task.message, model_id, error, _failure_evidence(task, slot, error))
            if self.retries.may_retry(task, slot, error):
                await self.retries.schedule(task, slot, error, result)
                return
        if result is not None:
            evidence = replace(result.evidence, redirects=task.hops if task.host else None)
            await self.saver.save(task, replace(result, evidence=evidence))

    async def _fetch_and_label(self, task: FetchTask, slot: HostSlot, model_id: int) -> Result | None:
        """Return the result, or None if the task is in a queue again."""
        try:
            model = await self.models.load(model_id)
            known = await self.label_cache.by_url(model_id, task.message.ref)
            try:
                response = await self.fetcher.fetch(task, slot, known.validators if known else None)
            except PostponedError:
                self.queues.postpone(task, slot.host)
                return None
            if isinstance(response, Redirected):
                task = replace(task, url=response.url, hops=task.hops + 1)
                self.queues.put(task)
                return None
            fetch_ms = _milliseconds(slot.seconds())
            if isinstance(response, NotModified):
                assert known is not None, "the request was not conditional"
                return self.labeller.relabel(task, model, known, fetch_ms)
            slot.release()  # the host is free for the next task while this image is classified
            return await self.labeller.label(task, model, response, fetch_ms)
        except (ItemError, ResourceError):
            raise
        except Exception as error:  # a defect of ours costs one item, with a report, and not the job
            _log.exception("unexpected failure", extra=task.log_fields)
            raise ItemError(Code.INTERNAL_ERROR, type(error).__name__) from error


class _Look(NamedTuple):
    """What came of looking at an image; ``seconds`` is how long it took to decode and classify it."""

    found: Classification
    seconds: float
    thumbnail: bytes | None


def _look(classifier: Classifier, content: bytes, top: int, side: int) -> _Look:
    """Classify, and measure that alone: before it, an image waits for a core to be free."""
    started = time.monotonic()
    found = classifier.classify(content, top)
    seconds = time.monotonic() - started
    return _Look(found, seconds, thumbnail(found.picture.pixels, side) if side else None)


def _read(fetched: Fetched, host: str | None, fetch_ms: float) -> tuple[bytes, Evidence]:
    content = fetched.read()
    return content, Evidence(
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        host=host or host_of(fetched.final_url or ""),  # a WARC file's record has the URL
        final_url=fetched.final_url,
        http_status=fetched.http_status,
        fetch_ms=fetch_ms,
    )


def _failure_evidence(task: FetchTask, slot: HostSlot, error: ItemError) -> Evidence:
    """Return what is known of a request that led to no image."""
    return Evidence(
        host=task.host,
        final_url=printable(error.final_url) if error.final_url else None,
        http_status=error.http_status,
        fetch_ms=_milliseconds(slot.seconds()) or None,
    )


def _succeeded(
    message: Message, model_id: int, labels: Labels, top: int, evidence: Evidence, reused: bool
) -> Result:
    """Return the result of an item that got its labels, the ``top`` best of them."""
    seen = replace(evidence, width=labels.width, height=labels.height, format=labels.format)
    return replace(
        _result(message, model_id, ItemState.SUCCEEDED, seen),
        class_ids=labels.class_ids[:top],
        scores=labels.scores[:top],
        reused=reused,
    )


def failed(message: Message, model_id: int, error: ItemError, evidence: Evidence) -> Result:
    """Return the result of an item that gets no label: it was skipped on purpose, or it failed."""
    state = ItemState.SKIPPED if error.code in SKIPPED else ItemState.FAILED
    result = _result(message, model_id, state, evidence)
    return replace(result, code=error.code, detail=error.detail)


def _result(message: Message, model_id: int, state: ItemState, evidence: Evidence) -> Result:
    return Result(
        job_id=message.job_id,
        index=message.index,
        state=state,
        finished_at=now(),
        attempts=message.attempt,
        model_id=model_id,
        evidence=evidence,
    )


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
