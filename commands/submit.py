"""`smartsight submit SOURCE...`: record a job, and publish it to the workers."""

import threading
import uuid
from argparse import Namespace
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from commands.messages import say
from commands.parts import open_store
from commands.progress import Counting
from commands.servers import check_broker, open_publisher
from commands.sources import open_sources, reporting, what_was_looked_for
from commands.stdout import show
from producer.dispatch import Dispatcher
from producer.entries import Entry, Malformed, Reference
from producer.references import read_sources
from producer.submit import record
from shared.broker import BrokerClosedError, Publisher
from shared.classifier.catalogue import Catalogue
from shared.errors import Code, ResourceError, UsageError
from shared.items import JobState
from shared.settings import Settings
from shared.store.store import Job, Store

#: How often to look for more to publish, in seconds.
_POLL = 0.1


def run(options: Namespace, settings: Settings) -> int:
    """Return 0 if everything was recorded, 1 if lines were left out."""
    if settings.broker_url:
        check_broker(settings)
    with open_sources(options) as sources, open_store(settings) as store:
        key = options.idempotency_key or uuid.uuid4().hex
        job = _open_job(options, settings, store, key)
        show(str(job.id))
        say(f"Job {job.id}: recording. Stopped, it goes on with --idempotency-key {key}")
        filtered = _OnlyUrls(reporting(read_sources(sources)))
        recorded = _submit(store, job, filtered, settings)
        return _report(store, job, filtered, recorded, options.sources)


def _open_job(options: Namespace, settings: Settings, store: Store, key: str) -> Job:
    """Return the job of this key, new or half recorded, or raise ``UsageError``."""
    catalogue = Catalogue(settings.cache_dir, settings.data_dir)
    model = catalogue.model(options.model or settings.model)
    recorded = store.record_model(model.name, model.version, model.labels)
    job = store.open_job(f"submit {key}", recorded.id, options.name, options.max_failure_rate)
    if job.state in (JobState.CANCELLING, JobState.CANCELLED):
        raise UsageError(Code.JOB_NOT_READY, f"job {job.id}, which this key names, was cancelled")
    if job.model_id != recorded.id:
        detail = f"job {job.id} is to be labelled by {store.model(job.model_id).name}"
        raise UsageError(Code.KEY_TAKEN, detail)
    return job


class _OnlyUrls:
    """Entries of which paths are left out: a worker on another machine has other files."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = entries
        self.malformed = 0

    def __iter__(self) -> Iterator[Entry]:
        for entry in self._entries:
            if isinstance(entry, Reference) and not entry.ref.lower().startswith(("http://", "https://")):
                self.malformed += 1
                reason = "no http or https URL; `smartsight label` takes paths"
                yield from reporting([Malformed(entry.ref, None, reason)])
            else:
                self.malformed += entry.lines if isinstance(entry, Malformed) else 0
                yield entry


def _submit(store: Store, job: Job, entries: Iterable[Entry], settings: Settings) -> int:
    """Record and publish at the same time; return how many items the job has."""
    stop, recorded = threading.Event(), 0
    with _publishing(store, job, settings, stop) as finish, Counting("recorded") as counting:
        try:
            for recorded in record(store, job, entries, stop):
                counting.update(recorded)
        except ResourceError as error:
            if error.code is Code.SOURCE_CHANGED:
                raise UsageError(Code.KEY_TAKEN, error.detail) from error
            raise
        finish()
    return recorded


@contextmanager
def _publishing(store: Store, job: Job, settings: Settings, stop: threading.Event) -> Iterator["_Finish"]:
    """Publish in a thread what is recorded; yield what waits until the queue is full or all is published."""
    if not settings.broker_url:
        yield _Finish(None)
        return
    with ThreadPoolExecutor(1) as thread, open_publisher(settings) as publisher:
        finish = _Finish(None)
        publishing = thread.submit(_publish, store, publisher, job.id, settings, finish.recorded, stop)
        finish.publishing = publishing
        try:
            yield finish
        finally:
            stop.set()
            publisher.close()


class _Finish:
    """Says that all is recorded, and waits until it is published, too, as far as there is room."""

    def __init__(self, publishing: "Future[None] | None") -> None:
        self.publishing = publishing
        self.recorded = threading.Event()

    def __call__(self) -> None:
        self.recorded.set()
        if self.publishing:
            self.publishing.result()


def _publish(
    store: Store,
    publisher: Publisher,
    job_id: int,
    settings: Settings,
    recorded: threading.Event,
    stop: threading.Event,
) -> None:
    dispatcher = Dispatcher(store, publisher, settings.queue_length)
    try:
        while not stop.is_set():
            all_recorded = recorded.is_set()
            if not dispatcher.publish([store.job(job_id)]):
                if all_recorded:
                    return
                recorded.wait(_POLL)
    except BrokerClosedError:
        pass  # the workers' dispatcher goes on
    finally:
        dispatcher.close()


def _report(store: Store, job: Job, filtered: _OnlyUrls, recorded: int, sources: list[str]) -> int:
    if filtered.malformed:
        say(f"Malformed lines left out: {filtered.malformed}.")
    if not recorded:
        store.cancel(job.id)
        store.complete(job.id)
        raise ResourceError(Code.NOTHING_TO_LABEL, what_was_looked_for(sources))
    waiting = recorded - store.job(job.id).published
    rest = (
        f"; {waiting} wait in the database until a worker's dispatcher publishes them" if waiting > 0 else ""
    )
    say(f"Job {job.id}: {recorded} images recorded{rest}. See `smartsight watch {job.id}`.")
    return 1 if filtered.malformed else 0
