"""`smartsight worker`: label what is submitted, with as many processes as there are cores."""

import asyncio
import logging
import os
import sys
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from commands.logs import log_as_json
from commands.messages import say
from commands.metrics import Metrics, metrics_of, shown
from commands.parts import cores, make_web, manners_of, open_decoders, open_store
from commands.servers import check_broker, open_consumer, open_publisher, patiently
from producer.dispatch import Dispatcher
from producer.tending import Tender
from shared.broker import Consumer, InProcessBroker, Publisher
from shared.classifier.catalogue import open_classifier
from shared.classifier.classifier import Classifier
from shared.decoding.pool import Decoders
from shared.images import Decode
from shared.settings import Settings
from shared.store.store import RecordedModel, Store
from worker.dead_letters import read_dead_letters
from worker.pulse import Pulse, beat, signs, trouble
from worker.supervisor import Supervisor
from worker.worker import Plan, Sources, Worker

_log = logging.getLogger("smartsight.worker")

#: Classes kept of each image.
_TOP = 5
#: How long what is in hand may take when the worker is told to stop, in seconds: longer than a fetch.
_GRACE = 25.0
#: How much longer a process may take that waits for what is in hand.
_FAREWELL = 15.0
_DEAD_LETTERS_AT_ONCE = 100

#: Something that runs until it is told to stop.
Part = Callable[[threading.Event], None]


def run(options: Namespace, settings: Settings) -> int:
    """Work until interrupted, and return 0 then; with ``--check`` return 0 if a worker here is well."""
    if options.check:
        return _check(options.check, settings)
    log_as_json()
    if not (settings.contact or options.as_child):
        _log.warning("hosts are not told whom to ask about this crawl: set SMARTSIGHT_CONTACT")
    stop = threading.Event()
    with ExitStack() as stack:
        stack.callback(stop.set)
        try:
            if options.as_child:
                decoders = stack.enter_context(open_decoders(settings, 1))
                _run_child(options, settings, stop, decoders)
            elif settings.broker_url:
                _run_fleet(options, settings, stop)
            else:
                decoders = stack.enter_context(open_decoders(settings, options.processes or cores()))
                _run_alone(options, settings, stop, decoders)
        except KeyboardInterrupt:
            return 0  # that is how a worker ends
    return 0


def _check(what: str, settings: Settings) -> int:
    wrong = trouble(signs(settings.run_dir), what == "ready")
    if wrong:
        say(f"smartsight: {wrong}")
    return 1 if wrong else 0


def _run_fleet(options: Namespace, settings: Settings, stop: threading.Event) -> None:
    """Keep processes that label, and do in this one what a job needs done once."""
    command = [sys.executable, "-m", "smartsight", "worker", "--as-child"]
    command += ["--concurrency", str(options.concurrency or settings.concurrency)]
    patiently(lambda: check_broker(settings), stop)
    with (
        shown(settings.metrics_port) as metrics,
        _store(settings, stop) as store,
        open_publisher(settings) as publisher,
        open_consumer(settings, _DEAD_LETTERS_AT_ONCE, dead=True) as dead,
    ):
        count = options.processes or cores()
        _log.info("working for %s, with processes: %s", store.name, count)
        supervisor = Supervisor(command, count, settings.run_dir)
        parts = _shared_parts(store, publisher, settings, metrics)
        parts += [lambda stop: read_dead_letters(store, dead, stop), supervisor.run]
        try:
            _run_parts(parts, publisher.close, stop)
        finally:
            supervisor.drain(_GRACE + _FAREWELL)


def _run_child(options: Namespace, settings: Settings, stop: threading.Event, decoders: Decoders) -> None:
    """Label in this process, with one core, until our parent ends or says so."""
    threading.Thread(target=_stop_with_parent, args=(stop,), daemon=True).start()
    classifier = open_classifier(settings, settings.model, "auto", 1, decoders.decode)
    decoders.await_ready()  # what comes back from a dead worker must not be blamed for a slow start
    metrics = metrics_of(os.environ)
    with (
        _store(settings, stop) as store,
        open_publisher(settings) as publisher,
        open_consumer(settings, 2 * options.concurrency) as consumer,
    ):
        sides = _Sides(consumer, publisher, decoders.decode, metrics)
        worker = _Labelling(store, sides, classifier, settings, options.concurrency, 1)

        def is_ready() -> bool:
            if metrics:
                metrics.holds(consumer.oldest_unacked())
            return consumer.is_open and publisher.is_open

        worker.run(stop, is_ready)


def _run_alone(options: Namespace, settings: Settings, stop: threading.Event, decoders: Decoders) -> None:
    """Do everything in this process: there is no broker, so that the queue is in memory."""
    count = options.processes or cores()
    concurrency = options.concurrency or settings.concurrency
    classifier = open_classifier(settings, settings.model, "auto", count, decoders.decode)
    decoders.await_ready()  # what comes back from a dead worker must not be blamed for a slow start
    broker = InProcessBroker()
    with shown(settings.metrics_port) as metrics, _store(settings, stop) as store:
        for job in store.tended_jobs():
            store.publish_again(job.id)  # what an earlier process held in memory is gone
        _log.info("working for %s, alone: no broker is set", store.name)
        sides = _Sides(broker, broker, decoders.decode, metrics)
        labelling = _Labelling(store, sides, classifier, settings, concurrency, count)
        parts = _shared_parts(store, broker, settings, metrics)
        parts.append(lambda stop: labelling.run(stop, lambda: True))
        _run_parts(parts, broker.close, stop)


def _shared_parts(
    store: Store, publisher: Publisher, settings: Settings, metrics: Metrics | None
) -> list[Part]:
    """Return what is done once for all processes of a worker."""
    dispatcher = Dispatcher(store, publisher, settings.queue_length)
    tender = Tender(store, publisher, settings.sweep_after, settings.placeholder_urls, metrics)
    return [dispatcher.run, tender.run]


class _Sides(NamedTuple):
    """What a worker has around it, beside the store: the broker's two sides, who decodes, who looks on."""

    consumer: Consumer
    publisher: Publisher
    decode: Decode
    metrics: Metrics | None


class _Labelling:
    """A worker in a thread of this process."""

    def __init__(
        self,
        store: Store,
        sides: _Sides,
        classifier: Classifier,
        settings: Settings,
        concurrency: int,
        threads: int,
    ) -> None:
        self._settings = settings
        self._classifier = classifier
        self._decode = sides.decode
        self._threads = threads
        self._pulse = Pulse()
        self._cores = ThreadPoolExecutor(threads)
        web = make_web(settings)
        plan = Plan(
            _TOP,
            concurrency,
            settings.retry_delays,
            _GRACE,
            patient=True,
            manners=manners_of(settings, settings.retry_delays),
            longest_request=settings.fetch_timeout,
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
            self._pulse,
        )

    def run(self, stop: threading.Event, is_ready: Callable[[], bool]) -> None:
        """Label until told to stop."""
        with ThreadPoolExecutor(2) as threads:
            ended = threading.Event()
            threads.submit(beat, self._settings.run_dir, self._pulse, is_ready, ended)
            working = threads.submit(lambda: asyncio.run(self._worker.run()))
            working.add_done_callback(lambda _: ended.set())
            try:
                while not working.done() and not stop.is_set():
                    wait([working], timeout=0.2)
            finally:
                self._worker.stop()
            working.result()

    def _open_model(self, recorded: RecordedModel) -> Classifier:
        ours = self._classifier.model
        if (ours.name, ours.version) == (recorded.name, recorded.version):
            return self._classifier
        return open_classifier(self._settings, recorded.name, "auto", self._threads, self._decode)


def _run_parts(parts: Sequence[Part], close: Callable[[], None], stop: threading.Event) -> None:
    """Run parts in threads until one of them ends, or we are interrupted; raise what one raises."""
    with ThreadPoolExecutor(len(parts)) as threads:
        running = [threads.submit(part, stop) for part in parts]
        try:
            while not wait(running, timeout=0.2, return_when=FIRST_COMPLETED).done:
                pass
        finally:
            stop.set()
            close()
        for ended in running:
            ended.result()


@contextmanager
def _store(settings: Settings, stop: threading.Event) -> Iterator[Store]:
    with ExitStack() as stack:
        yield patiently(lambda: stack.enter_context(open_store(settings)), stop)


def _stop_with_parent(stop: threading.Event) -> None:
    """Wait for the end of standard input: it is the parent's."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    stop.set()
