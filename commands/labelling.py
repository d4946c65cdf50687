"""A worker in a thread of this process."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import NamedTuple

from commands.metrics import Metrics
from commands.parts import make_web, politeness_policy
from shared.broker import Consumer, Publisher
from shared.classifier.catalogue import open_classifier
from shared.classifier.classifier import Classifier
from shared.images import Decode
from shared.settings import Settings
from shared.store.store import RecordedModel, Store
from worker.heartbeat import BusyTracker, write_heartbeat
from worker.worker import Plan, Sources, Worker

#: Classes kept of each image.
_TOP = 5
#: How long what is in hand may take when the worker is told to stop, in seconds: longer than a fetch.
GRACE = 25.0


class Sides(NamedTuple):
    """What a worker has around it, beside the store: the broker's two sides, who decodes, who looks on."""

    consumer: Consumer
    publisher: Publisher
    decode: Decode
    metrics: Metrics | None


class Labelling:
    """A worker in a thread of this process."""

    def __init__(
        self,
        store: Store,
        sides: Sides,
        classifier: Classifier,
        settings: Settings,
        concurrency: int,
        threads: int,
    ) -> None:
        self._settings = settings
        self._classifier = classifier
        self._decode = sides.decode
        self._threads = threads
        self._busy_tracker = BusyTracker()
        self._cores = ThreadPoolExecutor(threads)
        web = make_web(settings)
        plan = Plan(
            _TOP,
            concurrency,
            settings.retry_delays,
            GRACE,
            wait_for_store=True,
            policy=politeness_policy(settings, settings.retry_delays),
            longest_request=settings.fetch_timeout,
            thumbnail_side=settings.thumbnail_side,
        )
        self._worker = Worker(
            sides.consumer,
            sides.publisher,
            store,
            Sources(web, web),
            self._open_model,
            self._cores,
            plan,
            sides.metrics,
            self._busy_tracker,
        )

    def run(self, stop: threading.Event, is_ready: Callable[[], bool]) -> None:
        """Label until told to stop."""
        with ThreadPoolExecutor(2) as threads:
            ended = threading.Event()
            heartbeating = threads.submit(
                write_heartbeat, self._settings.run_dir, self._busy_tracker, is_ready, ended
            )
            working = threads.submit(lambda: asyncio.run(self._worker.run()))
            working.add_done_callback(lambda _: ended.set())
            try:
                while not (working.done() or heartbeating.done() or stop.is_set()):
                    wait([working, heartbeating], timeout=0.2, return_when=FIRST_COMPLETED)
            finally:
                self._worker.stop()
            working.result()
            heartbeating.result()

    def _open_model(self, recorded: RecordedModel) -> Classifier:
        ours = self._classifier.model
        if (ours.name, ours.version) == (recorded.name, recorded.version):
            return self._classifier
        return open_classifier(self._settings, recorded.name, "auto", self._threads, self._decode)
