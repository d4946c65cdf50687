"""`smartsight worker`: label what is submitted, with as many processes as there are cores."""

import asyncio
import logging
import os
import sys
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager

from commands.background import Part, run_parts
from commands.metrics import Metrics, metrics_of, serve_metrics
from commands.parts import (
    check_broker,
    cores,
    list_budget,
    make_web,
    open_consumer,
    open_decoders,
    open_publisher,
    open_store,
    politeness_policy,
    when_available,
)
from commands.terminal import log_as_json, say, verbosity_options
from producer.dispatch import Dispatcher
from producer.maintenance import JobMaintenance
from producer.recorder import Recorder
from shared.broker import InProcessBroker, Publisher
from shared.classifier.catalogue import Catalogue, open_classifier
from shared.classifier.classifier import Classifier
from shared.decoding.decoder import Decoders
from shared.settings import Settings
from shared.store.store import RecordedModel, Store
from worker.dead_letters import read_dead_letters
from worker.delivery import Inference
from worker.heartbeat import BusyTracker, health_problem, read_heartbeats, write_heartbeat
from worker.supervisor import Supervisor
from worker.worker import Backends, Fetchers, Worker, WorkerPlan

_log = logging.getLogger("smartsight.worker")

#: Classes kept of each image.
_TOP = 5
#: How long what is in hand may take when the worker is told to stop, in seconds: longer than a fetch.
GRACE = 25.0
#: How much longer a process may take that waits for what is in hand.
_FAREWELL = 15.0
_DEAD_LETTERS_AT_ONCE = 100


class WorkerThread:
    """A worker in a thread of this process, and its heartbeat in another."""

    def __init__(
        self,
        backends: Backends,
        open_model: Callable[[RecordedModel], Classifier],
        cores: int,
        concurrency: int,
        settings: Settings,
        metrics: Metrics | None,
    ) -> None:
        self._run_dir = settings.run_dir
        self._busy = BusyTracker()
        web = make_web(settings)
        plan = WorkerPlan(
            _TOP,
            concurrency,
            settings.retry_delays,
            GRACE,
            wait_for_store=True,
            policy=politeness_policy(settings, settings.retry_delays),
            request_timeout=settings.fetch_timeout,
            thumbnail_side=settings.thumbnail_side,
        )
        inference = Inference(open_model, ThreadPoolExecutor(cores), self._busy)
        self._worker = Worker(backends, Fetchers(web, web), inference, plan, metrics)

    def run(self, stop: threading.Event, is_ready: Callable[[], bool]) -> None:
        """Label until told to stop."""
        with ThreadPoolExecutor(2) as threads:
            ended = threading.Event()
            heartbeat = threads.submit(write_heartbeat, self._run_dir, self._busy, is_ready, ended)
            working = threads.submit(lambda: asyncio.run(self._worker.run()))
            working.add_done_callback(lambda _: ended.set())
            try:
                while not (working.done() or heartbeat.done() or stop.is_set()):
                    wait([working, heartbeat], timeout=0.2, return_when=FIRST_COMPLETED)
            finally:
                self._worker.stop()
            working.result()
            heartbeat.result()


def run(options: Namespace, settings: Settings) -> int:
    """Work until interrupted, and return 0 then; with ``--check`` return 0 if a local worker is healthy."""
    if options.check:
        return _check(options.check, settings)
    log_as_json()
    if not (settings.contact or options.as_child):
        # Hosts are not told whom to ask about this crawl.
        _log.warning("contact not set", extra={"setting": "SMARTSIGHT_CONTACT"})
    stop = threading.Event()
    with ExitStack() as stack:
        stack.callback(stop.set)
        try:
            if options.as_child:
                stand_back(settings.nice)
                decoders = stack.enter_context(open_decoders(settings))
                _run_child(options, settings, stop, decoders)
            elif settings.broker_url:
                _run_fleet(options, settings, stop)
            else:
                work_alone(options, settings, stop)
        except KeyboardInterrupt:
            return 0  # that is how a worker ends
    return 0


def work_alone(options: Namespace, settings: Settings, stop: threading.Event) -> None:
    """Do all of a worker's work in this process, at low priority."""
    stand_back(settings.nice)
    with open_decoders(settings) as decoders:
        _run_alone(options, settings, stop, decoders)


def stand_back(nice: int) -> None:
    """Let this thread, and all threads and processes that it starts, be served after others.

    On Linux a thread has a niceness of its own (https://man7.org/linux/man-pages/man2/setpriority.2.html).
    """
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)


def _check(what: str, settings: Settings) -> int:
    wrong = health_problem(read_heartbeats(settings.run_dir), what == "ready")
    if wrong:
        say(f"smartsight: {wrong}", always=True)
    return 1 if wrong else 0


def _run_fleet(options: Namespace, settings: Settings, stop: threading.Event) -> None:
    """Keep processes that label, and do in this one what a job needs done once."""
    command = [sys.executable, "-m", "smartsight", "worker", "--as-child", *verbosity_options()]
    command += ["--concurrency", str(options.concurrency or settings.concurrency)]
    # A model that is missing ends us, with the reason; our processes would be started again and again.
    Catalogue(settings.cache_dir, settings.data_dir).model(settings.model)
    when_available(lambda: check_broker(settings), stop)
    with (
        serve_metrics(settings.metrics_port, settings.run_dir) as metrics,
        _store(settings, stop) as store,
        open_publisher(settings) as publisher,
        open_consumer(settings, _DEAD_LETTERS_AT_ONCE, dead=True) as dead,
    ):
        count = options.processes or cores()
        _log.info("worker started", extra={"store": store.name, "processes": count})
        supervisor = Supervisor(command, count, settings.run_dir)
        parts = _shared_parts(store, publisher, settings, metrics)
        parts += [lambda stop: read_dead_letters(store, dead, stop), supervisor.run]
        try:
            run_parts(parts, publisher.close, stop)
        finally:
            supervisor.drain(GRACE + _FAREWELL)


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
        backends = Backends(store, consumer, publisher)
        open_model = _model_opener(settings, classifier, decoders, 1)
        worker = WorkerThread(backends, open_model, 1, options.concurrency, settings, metrics)

        def is_ready() -> bool:
            if metrics:
                metrics.set_oldest_unacked(consumer.oldest_unacked())
            return consumer.is_open and publisher.is_open

        worker.run(stop, is_ready)


def _run_alone(options: Namespace, settings: Settings, stop: threading.Event, decoders: Decoders) -> None:
    """Do everything in this process: there is no broker, so that the queue is in memory."""
    count = options.processes or cores()
    concurrency = options.concurrency or settings.concurrency
    classifier = open_classifier(settings, settings.model, "auto", count, decoders.decode)
    decoders.await_ready()  # what comes back from a dead worker must not be blamed for a slow start
    broker = InProcessBroker()
    with serve_metrics(settings.metrics_port, settings.run_dir) as metrics, _store(settings, stop) as store:
        for job in store.jobs.active():
            store.jobs.publish_again(job.id)  # what an earlier process held in memory is gone
        _log.info("worker started", extra={"store": store.name, "broker": "none"})
        backends = Backends(store, broker, broker)
        open_model = _model_opener(settings, classifier, decoders, count)
        worker = WorkerThread(backends, open_model, count, concurrency, settings, metrics)
        parts = _shared_parts(store, broker, settings, metrics)
        parts.append(lambda stop: worker.run(stop, lambda: True))
        run_parts(parts, broker.close, stop)


def _shared_parts(
    store: Store, publisher: Publisher, settings: Settings, metrics: Metrics | None
) -> list[Part]:
    """Return what is done once for all processes of a worker."""
    dispatcher = Dispatcher(store, publisher, settings.queue_length)
    maintenance = JobMaintenance(store, publisher, settings.sweep_after, settings.placeholder_urls, metrics)
    recorder = Recorder(store, list_budget(settings))
    return [dispatcher.run, maintenance.run, recorder.run]


@contextmanager
def _store(settings: Settings, stop: threading.Event) -> Iterator[Store]:
    with ExitStack() as stack:
        yield when_available(lambda: stack.enter_context(open_store(settings)), stop)


def _stop_with_parent(stop: threading.Event) -> None:
    """Wait for the end of standard input: it is the parent's."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    stop.set()


def _model_opener(
    settings: Settings, ours: Classifier, decoders: Decoders, threads: int
) -> Callable[[RecordedModel], Classifier]:
    """Return what opens the model of a job, which is mostly the one that this worker has."""

    def open_model(recorded: RecordedModel) -> Classifier:
        if (ours.model.name, ours.model.version) == (recorded.name, recorded.version):
            return ours
        return open_classifier(settings, recorded.name, "auto", threads, decoders.decode)

    return open_model
