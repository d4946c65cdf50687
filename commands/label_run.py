"""One run of `smartsight label`: producer and worker in threads of one process, the user in front.

References are recorded in the store, published to a queue, labelled, stored: the same code as on many
machines. What the user sees is read back from the store, which alone knows what is done.
"""

import asyncio
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress

from commands.parts import cores, make_fetchers, politeness_policy
from commands.progress import GiveUpOffer, Progress, Silent, counts_by_state, show_progress
from commands.terminal import say
from producer.dispatch import publish_all
from producer.maintenance import RateMeter
from producer.sources import InputSources, read_sources
from producer.submit import Survey, record
from results_api.exports import RowWriter, write_results
from results_api.job_statuses import read_status
from results_api.rows import OrderedRows
from shared.broker import InProcessBroker
from shared.classifier.classifier import Classifier
from shared.errors import Code, RequestError, ResourceError, UsageError
from shared.items import ItemState
from shared.job_status import JobStatus
from shared.settings import Settings
from shared.store.store import Filter, Store
from shared.time_left import TimeLeft, Waiting
from worker.delivery import Inference
from worker.observer import NoObserver
from worker.worker import Backends, Worker, WorkerPlan

#: How long what is in hand may take when the command is interrupted, in seconds.
_GRACE = 3.0
#: Seconds between two looks at the store.
_TICK = 0.2
#: Looks between two times of compacting the progress and backfilling duplicates.
_COMPACT_EVERY = 50
#: How long a job stays this process's if it is killed, and how often that is renewed, in seconds.
_LEASE, _RENEW_EVERY = 4.0, 1.0


class JobLease:
    """Keeps a job to this process while it runs: no other one labels it a second time."""

    def __init__(self, store: Store, job_id: int) -> None:
        """Take the job, as soon as the process that had it is dead.

        Raises ``UsageError(job_not_ready)`` if another process runs it: it renews its lease meanwhile.
        """
        self._store = store
        self._job_id = job_id
        self._holder = uuid.uuid4().hex
        seen: float | None = None
        while not self._take():
            until = store.jobs.leased_until(job_id)
            if seen is not None and until is not None and until > seen:
                raise self._lost()
            seen = until
            time.sleep(_TICK)

    @contextmanager
    def kept(self) -> Iterator[Future[None]]:
        """Renew the lease in this context, and release it at the end; the task fails if it is lost."""
        ending = threading.Event()
        with ThreadPoolExecutor(1) as thread:
            try:
                yield thread.submit(self._renew, ending)
            finally:
                ending.set()
        with suppress(ResourceError):  # it ends by itself, and what went wrong is already being said
            self._store.jobs.end_leases(self._holder)

    def _renew(self, ending: threading.Event) -> None:
        while not ending.wait(_RENEW_EVERY):
            if not self._take():
                raise self._lost()

    def _take(self) -> bool:
        return self._store.jobs.lease(self._job_id, self._holder, _LEASE)

    def _lost(self) -> UsageError:
        return UsageError(Code.JOB_NOT_READY, f"another `smartsight label` is running job {self._job_id}")


class _Notes(NoObserver):
    """Tells the user at once when their own image server does not answer."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def host_backed_off(self, host: str, is_own: bool, code: Code, seconds: float | None) -> None:
        """Print a line, unless the host is a stranger's: crawls have many."""
        if is_own:
            then = "It is given up." if seconds is None else f"Next try in {seconds:.0f} s."
            with self._progress.aside():
                say(f"Your image server {host} does not answer as it should: {code.sentence} {then}")


class LabelRun:
    """A job of this command, new or half done, and the means to finish it.

    ``offers_to_give_up`` what waits by another command, which must have the same database.
    """

    def __init__(
        self,
        store: Store,
        classifier: Classifier,
        found: Survey,
        top: int,
        key: str,
        name: str | None = None,
        offers_to_give_up: bool = False,
    ) -> None:
        model = classifier.model
        self._store = store
        self._classifier = classifier
        self._found = found
        self._top = top
        self._model = store.models.record(model.name, model.version, model.labels)
        self._stop = threading.Event()
        self._abandoned = threading.Event()
        self._broker = InProcessBroker()
        self.job = store.jobs.open(key, self._model.id, name, local=True)
        self._lease = JobLease(store, self.job.id)
        self.job = store.jobs.get(self.job.id)  # whoever had it until now may have changed it
        self.done_before = sum(self._counts().values())
        self._meter, self._rate = RateMeter(), 0.0
        self._waiting: Waiting | None = None
        self._offer = GiveUpOffer(self.job.id) if offers_to_give_up else None
        #: Images that turned out to be placeholders at the end, after their rows were written.
        self.placeholders = 0

    def progress_now(self) -> str:
        """Say how far the job is."""
        return f"{sum(self._counts().values())} of {self._found.references} images done"

    def run(
        self, sources: InputSources, settings: Settings, writer: RowWriter, progress: Progress | None = None
    ) -> JobStatus:
        """Finish the job, write all its rows, and return its status.

        When interrupted, or when a part fails, the images in progress are finished and stored first.
        """
        progress = progress or show_progress(self._found.references, self.done_before)
        plan = self._plan(settings)
        with (
            self._lease.kept() as keeping,
            ThreadPoolExecutor(cores()) as cpu,
            ThreadPoolExecutor(3) as threads,
        ):
            worker = Worker(
                Backends(self._store, self._broker, self._broker),
                make_fetchers(settings),
                Inference(lambda _: self._classifier, cpu),
                plan,
                None if isinstance(progress, Silent) else _Notes(progress),
            )
            try:
                recording = threads.submit(self._record, sources)
                publishing = threads.submit(self._publish)
                working = threads.submit(lambda: asyncio.run(worker.run()))
                self._follow([recording, publishing, working, keeping], writer, progress)
                return self._complete(settings.placeholder_urls)
            finally:
                progress.close()
                self._stop.set()
                worker.stop()
                self._broker.close()

    def _plan(self, settings: Settings) -> WorkerPlan:
        return WorkerPlan(
            self._top,
            settings.concurrency,
            settings.label_retry_delays,
            _GRACE,
            wait_for_store=False,
            policy=politeness_policy(settings, settings.label_retry_delays),
            request_timeout=settings.fetch_timeout,
            only_job=self.job.id,
            thumbnail_side=settings.thumbnail_side,
        )

    def _record(self, sources: InputSources) -> None:
        if not self.job.recorded:
            entries = read_sources(sources)
            deque(record(self._store, self.job, entries, self._stop, self._found.digest), maxlen=0)

    def _publish(self) -> None:
        publish_all(self._store, self._broker, self.job.id, self._stop)

    def abandon(self) -> None:
        """Make ``run`` stop soon, from another thread: it raises ``RequestError(shutting_down)``."""
        self._abandoned.set()

    def write_again(self, output: str) -> None:
        """Write all rows to a file as they are in the end."""
        write_results(self._store, self._store.jobs.get(self.job.id), Filter(), output)

    def _complete(self, placeholder_urls: int) -> JobStatus:
        self.placeholders = self._store.results.skip_placeholders(self.job.id, placeholder_urls)
        self._store.jobs.complete(self.job.id)
        return read_status(self._store, self._store.jobs.get(self.job.id))

    def _counts(self) -> dict[ItemState, int]:
        return counts_by_state(self._store.results.tallies(self.job.id))

    def _follow(self, tasks: list[Future[None]], writer: RowWriter, progress: Progress) -> None:
        """Poll the store until every item has a result and every row is written."""
        rows = OrderedRows(self._store, self.job.id, self._model)
        looks = 0
        while not self._is_over(tasks, progress):
            _write_ready(rows, writer, progress)
            looks += 1
            if looks % _COMPACT_EVERY == 0:
                self._store.results.compact(self.job.id)
                self._store.duplicates.backfill(self.job.id)
        _write_ready(rows, writer, progress)

    def _is_over(self, tasks: list[Future[None]], progress: Progress) -> bool:
        """Wait a moment, then tell whether every item is recorded and has its result.

        Raises what a task raised.
        """
        if self._abandoned.is_set():
            raise RequestError(Code.SHUTTING_DOWN)
        finished, _working = wait(tasks, _TICK, return_when=FIRST_EXCEPTION)
        for task in finished:
            task.result()
        counts = self._counts()
        left = self._time_left(sum(counts.values()))
        progress.update(counts, self._found.references, left)
        if self._offer:
            self._offer.update(left, progress)
        recording = tasks[0]
        return recording.done() and sum(counts.values()) >= self._found.references

    def _time_left(self, done: int) -> TimeLeft | None:
        """Return what is left, from a look at the store every few seconds."""
        rate = self._meter.note(time.monotonic(), done)
        if rate is not None:
            self._rate, self._waiting = rate, self._store.retries.waiting(self.job.id)
        items, waiting = self._found.references - done, self._waiting
        if items <= 0:
            return None
        moving = items - (waiting.count if waiting else 0)
        seconds = moving / self._rate if self._rate else None
        return TimeLeft(items, self._rate, seconds, knows_hosts=False, waiting=waiting)


def _write_ready(rows: OrderedRows, writer: RowWriter, progress: Progress) -> None:
    while ready := rows.next():
        with progress.aside():
            writer.write(ready)
