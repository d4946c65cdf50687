"""What becomes of one delivery, from its receipt to its ack."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from shared.broker import BrokerClosedError, Delivery, Publisher
from shared.classifier.classifier import Classification, Classifier
from shared.errors import Code, ItemError, ResourceError, printable
from shared.fetching.fetcher import Fetched, NotModified, Redirected
from shared.hosts import host_of
from shared.images import thumbnail
from shared.items import Evidence, Message, Result
from shared.store.store import StoredResponse
from worker.conditional_requests import ConditionalRequests, unchanged_evidence
from worker.denied import DenyList
from worker.fetching import PoliteFetcher
from worker.frontier.frontier import Frontier, PostponedError, Turn
from worker.frontier.line import Errand
from worker.heartbeat import BusyTracker
from worker.job_cache import JobCache
from worker.label_cache import LabelCache
from worker.observing import Observer
from worker.poison import PoisonGuard
from worker.results import Labels, failed, succeeded
from worker.saving import Saver
from worker.store_retry import StoreRetry

T = TypeVar("T")

_log = logging.getLogger("smartsight.worker")


@dataclass(frozen=True)
class Handling:
    """Handles deliveries, any number at a time.

    ``cores`` runs what needs a core: reading, decoding and predicting. ``retry_delays`` are the seconds
    before the second, third, ... attempt; after the last one a transient failure is final. Thumbnails are
    at most ``thumbnail_side`` pixels a side; with 0 there are none.
    """

    frontier: Frontier
    publisher: Publisher
    polite_fetcher: PoliteFetcher
    denied: DenyList
    job_cache: JobCache
    known: LabelCache
    conditional_requests: ConditionalRequests
    poison_guard: PoisonGuard
    saver: Saver
    store_retry: StoreRetry
    observer: Observer
    busy_tracker: BusyTracker
    cores: Executor
    top: int
    retry_delays: Sequence[float]
    thumbnail_side: int

    async def handle(self, turn: Turn) -> None:
        """Bring one delivery on: to a result that is on its way to the store, or back into line."""
        delivery = turn.errand.delivery
        model_id = await self.job_cache.model_of(delivery.message)
        if model_id is None:
            self.frontier.acks.ack(delivery)
            return
        try:
            result = await self._label(turn, model_id)
        except PostponedError:
            self.frontier.postpone(turn.errand, turn.line.host if turn.line else "")
            return
        except ItemError as error:
            if self._may_retry(delivery.message, error):
                await self._retry(turn, error)
                return
            result = failed(delivery.message, model_id, error, _evidence_of(turn, error))
        if result is not None:
            await self.saver.save(delivery, result)

    async def _label(self, turn: Turn, model_id: int) -> Result | None:
        """Return the result, or None if a redirect leads on."""
        message = turn.errand.delivery.message
        try:
            classifier = await self.job_cache.classifier(model_id)
            known = await self.conditional_requests.find(model_id, message.ref)
            answer = await self.polite_fetcher.fetch(turn, known.validators if known else None)
            self.observer.stage_finished("fetch", turn.seconds())
            if isinstance(answer, Redirected):
                self.frontier.put(replace(turn.errand, url=answer.url, hops=turn.errand.hops + 1))
                return None
            if isinstance(answer, NotModified):
                return self._unchanged(turn, model_id, known)
            return await self._classify_fetched(turn, model_id, classifier, answer)
        except (ItemError, ResourceError, PostponedError):
            raise
        except Exception as error:  # a defect of ours costs one item, with a report, and not the job
            _log.exception("unexpected failure", extra={"job": message.job_id, "item": message.index})
            raise ItemError(Code.INTERNAL_ERROR, type(error).__name__) from error

    def _unchanged(self, turn: Turn, model_id: int, known: StoredResponse | None) -> Result:
        """Return the result of an image that is still what it was."""
        assert known is not None, "nobody was asked whether it was modified"
        message = turn.errand.delivery.message
        evidence = unchanged_evidence(known, host_of(message.ref), _milliseconds(turn.seconds()))
        labels = Labels.of_result(known.result)
        return succeeded(message, model_id, labels, self.top, evidence, reused=True)

    async def _classify_fetched(
        self, turn: Turn, model_id: int, classifier: Classifier, fetched: Fetched
    ) -> Result:
        delivery, fetch_ms = turn.errand.delivery, _milliseconds(turn.seconds())
        turn.close()  # the host is free for the next one while this one is worked on
        content, evidence = await self._on_a_core(_read, fetched, delivery.message.ref, fetch_ms)
        result = await self._classify(delivery, model_id, classifier, content, evidence)
        if fetched.validators is None:
            return result
        return replace(result, revalidation=(delivery.message.ref, fetched.validators))

    def _may_retry(self, message: Message, error: ItemError) -> bool:
        """Tell whether an attempt is left; for a host that was given up it would be one for nothing."""
        left = message.attempt <= len(self.retry_delays)
        return left and error.code.transient and error.code is not Code.HOST_DOWN

    async def _classify(
        self, delivery: Delivery, model_id: int, classifier: Classifier, content: bytes, evidence: Evidence
    ) -> Result:
        """Return the result of fetched bytes; transient failures are raised, permanent ones are results."""
        looked: _Look | None = None

        async def classify() -> Labels:
            nonlocal looked
            await self.denied.check_content(sha256)  # what has labels in the store is not denied
            async with self.poison_guard.guard(delivery):
                looked = await self._on_a_core(_look, classifier, content, self.top, self.thumbnail_side)
                self.observer.stage_finished("label", looked.seconds)
                return Labels.of(looked.found)

        message, sha256 = delivery.message, str(evidence.sha256)
        enough = min(self.top, len(classifier.model.labels))
        try:
            labels, reused = await self.known.labels((model_id, sha256), enough, classify)
        except ItemError as error:
            if error.code.transient:
                raise
            return failed(message, model_id, error, evidence)
        if looked is None:
            return succeeded(message, model_id, labels, self.top, evidence, reused)
        evidence = replace(evidence, label_ms=_milliseconds(looked.seconds))
        result = succeeded(message, model_id, labels, self.top, evidence, reused)
        return replace(result, thumbnail=looked.thumbnail)

    async def _retry(self, turn: Turn, error: ItemError) -> None:
        """Put a delivery off: into the line of its host if that wants a pause, else to the broker."""
        delivery = turn.errand.delivery
        again = replace(delivery.message, attempt=delivery.message.attempt + 1)
        if turn.line is not None and (error.code is Code.RATE_LIMITED or error.http_status == 503):
            waiting = Errand(replace(delivery, message=again), again.ref)
            self.frontier.postpone_retry(waiting, turn.line.host)
        else:
            try:
                await self.store_retry.call(self._publish, again, self._delay(delivery.message, error))
            except BrokerClosedError:
                return
            self.frontier.acks.ack(delivery)
        self.observer.retry_scheduled(error.code)

    def _delay(self, message: Message, error: ItemError) -> float:
        asked = max(self.retry_delays[message.attempt - 1], error.retry_after or 0)
        return next((delay for delay in self.retry_delays if delay >= asked), self.retry_delays[-1])

    def _publish(self, message: Message, delay: float) -> None:
        self.publisher.publish([message], delay)

    async def _on_a_core(self, function: Callable[..., T], *arguments: object) -> T:
        def work() -> T:
            with self.busy_tracker.busy():
                return function(*arguments)

        return await asyncio.get_running_loop().run_in_executor(self.cores, work)


def _read(fetched: Fetched, ref: str, fetch_ms: float) -> tuple[bytes, Evidence]:
    content = fetched.read()
    return content, Evidence(
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        host=host_of(ref) or host_of(fetched.final_url or ""),  # a WARC file's record has the URL
        final_url=fetched.final_url,
        http_status=fetched.http_status,
        fetch_ms=fetch_ms,
    )


def _evidence_of(turn: Turn, error: ItemError) -> Evidence:
    """Return what is known of a request that led to no image."""
    return Evidence(
        host=host_of(turn.errand.delivery.message.ref),
        final_url=printable(error.final_url) if error.final_url else None,
        http_status=error.http_status,
        fetch_ms=_milliseconds(turn.seconds()) or None,
    )


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


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
