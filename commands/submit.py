"""`smartsight submit SOURCE...`: record a job, and publish it to the workers."""

import threading
import uuid
from argparse import Namespace
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

from commands.dry_run import run_dry
from commands.parts import check_broker, model_of, open_publisher, open_store
from commands.progress import Counting
from commands.sources import open_sources, reporting, what_was_looked_for
from commands.terminal import say, show
from producer.dispatch import Dispatcher
from producer.references import Entry, UrlEntries
from producer.sources import read_sources
from producer.submit import record
from shared.broker import BrokerClosedError, Publisher
from shared.errors import Code, ResourceError, UsageError
from shared.items import JobState
from shared.job_status import PRIORITIES
from shared.settings import Settings
from shared.store.store import Job, Store

#: How often to look for more to publish, in seconds.
_POLL = 0.1


def run(options: Namespace, settings: Settings) -> int:
    """Return 0 if everything was recorded, 1 if lines were left out."""
    if options.webhook:
        raise UsageError(Code.WEBHOOK_INVALID, "it is the API that calls webhooks: say --api")
    if options.dry_run:
        with open_sources(options) as sources:
            return run_dry(options, settings, reporting(UrlEntries(read_sources(sources))))
    if settings.broker_url:
        check_broker(settings)
    with open_sources(options) as sources, open_store(settings) as store:
        key = options.idempotency_key or uuid.uuid4().hex
        job = _open_job(options, settings, store, key)
        show(str(job.id))
        say(f"Job {job.id}: recording. Stopped, it goes on with --idempotency-key {key}")
        filtered = UrlEntries(read_sources(sources))
        try:
            recorded = _submit(store, job, reporting(filtered), settings)
        finally:
            _drop_if_empty(store, job.id)
        return _report(store, job, filtered, recorded, options.sources)


def _open_job(options: Namespace, settings: Settings, store: Store, key: str) -> Job:
    """Return the job of this key, new or half recorded, or raise ``UsageError``."""
    recorded, priority = model_of(store, settings, options.model), PRIORITIES[options.priority]
    job = store.jobs.open(f"submit {key}", recorded.id, options.name, options.max_failure_rate, priority)
    if job.state in (JobState.CANCELLING, JobState.CANCELLED):
        raise UsageError(Code.JOB_NOT_READY, f"job {job.id}, which this key names, was cancelled")
    if job.model_id != recorded.id:
        detail = f"job {job.id} is to be labelled by {store.models.get(job.model_id).name}"
        raise UsageError(Code.KEY_TAKEN, detail)
    return job


def _submit(store: Store, job: Job, entries: Iterable[Entry], settings: Settings) -> int:
    """Record and publish at the same time; return how many items the job has."""
    recorded = 0
    with _Publishing(store, job.id, settings) as publishing, Counting("recorded") as counting:
        try:
            for recorded in record(store, job, entries, publishing.stop):
                counting.update(recorded)
        except ResourceError as error:
            if error.code is Code.SOURCE_CHANGED:
                raise UsageError(Code.KEY_TAKEN, error.detail) from error
            raise
        publishing.finish()
    return recorded


class _Publishing:
    """Publishes in a thread what is recorded, where there is a broker."""

    def __init__(self, store: Store, job_id: int, settings: Settings) -> None:
        self.stop = threading.Event()
        self._store = store
        self._job_id = job_id
        self._settings = settings
        self._recorded = threading.Event()
        self._stack = ExitStack()
        self._running: Future[None] | None = None

    def __enter__(self) -> "_Publishing":
        if self._settings.broker_url:
            thread = self._stack.enter_context(ThreadPoolExecutor(1))
            publisher = self._stack.enter_context(open_publisher(self._settings))
            self._stack.callback(self.stop.set)
            self._running = thread.submit(self._run, publisher)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def finish(self) -> None:
        """Wait until what is recorded, which is all now, is published, too, as far as there is room."""
        self._recorded.set()
        if self._running:
            self._running.result()

    def _run(self, publisher: Publisher) -> None:
        dispatcher = Dispatcher(self._store, publisher, self._settings.queue_length)
        try:
            while not self.stop.is_set():
                all_recorded = self._recorded.is_set()
                if not dispatcher.publish([self._store.jobs.get(self._job_id)]):
                    if all_recorded:
                        return
                    self._recorded.wait(_POLL)
        except BrokerClosedError:
            pass  # the workers' dispatcher goes on
        finally:
            dispatcher.close()


def _drop_if_empty(store: Store, job_id: int) -> None:
    """End a job of which nothing was recorded; the same key begins anew."""
    if not store.jobs.get(job_id).submitted:
        store.jobs.release_key(job_id)
        store.jobs.cancel(job_id)
        store.jobs.complete(job_id)


def _report(store: Store, job: Job, filtered: UrlEntries, recorded: int, sources: list[str]) -> int:
    if filtered.malformed:
        say(f"Malformed lines left out: {filtered.malformed}.")
    if not recorded:
        raise ResourceError(Code.NOTHING_TO_LABEL, what_was_looked_for(sources))
    waiting = recorded - store.jobs.get(job.id).published
    rest = (
        f"; {waiting} wait in the database until a worker's dispatcher publishes them" if waiting > 0 else ""
    )
    say(f"Job {job.id}: {recorded} images recorded{rest}. See `smartsight watch {job.id}`.")
    return 1 if filtered.malformed else 0
