"""Jobs in the database of the settings; a submission is published to the broker, if there is one."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from commands.backend import Submission
from commands.parts import check_broker, model_of, open_publisher, open_store
from commands.sources import open_sources, reporting
from producer.dispatch import Dispatcher
from producer.references import Entry, ListColumns, UrlEntries
from producer.sources import read_sources
from producer.submit import record
from results_api.classes import class_ids_of
from results_api.exports import write_results
from results_api.job_statuses import read_status
from results_api.rows import all_rows
from shared import actions
from shared.broker import BrokerClosedError, Publisher
from shared.errors import Code, RequestError, ResourceError, UsageError
from shared.estimate import Estimate
from shared.hosts import Host
from shared.items import ItemState, JobState
from shared.job_status import PRIORITIES, JobStatus, MalformedLines
from shared.settings import Settings
from shared.store.store import Filter, Job, Store

if TYPE_CHECKING:
    from api_client.client import ResultFilters
    from results_api.report.report import Report
    from results_api.rows import Row

#: Seconds between two looks at a job, and between two looks for images to publish.
_INTERVAL, _PUBLISH_INTERVAL = 1.0, 0.1
#: Rows of each list of a report.
_REPORT_ROWS = 20


@contextmanager
def open_store_backend(settings: Settings) -> Iterator["StoreBackend"]:
    """Give the jobs in the database of the settings."""
    with open_store(settings) as store:
        yield StoreBackend(store, settings)


class StoreBackend:
    """A ``JobBackend`` on a store."""

    api_option = ""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def submit(
        self, submission: Submission, begun: Callable[[JobStatus], None], recorded: Callable[[int], None]
    ) -> JobStatus:
        """Record the job and publish it at the same time."""
        if self._settings.broker_url:
            check_broker(self._settings)
        with open_sources(submission.sources, _columns(submission)) as sources:
            job = self._open_job(submission)
            begun(read_status(self._store, job))
            filtered = UrlEntries(read_sources(sources))
            try:
                self._record(job, reporting(filtered), recorded)
            finally:
                self._drop_if_empty(job.id)
        return replace(self.job(job.id), malformed=MalformedLines(filtered.malformed))

    def estimate(self, submission: Submission, sample: int) -> Estimate:
        """Fetch and label a sample of the list on this machine."""
        from commands.dry_run import try_sample

        model = submission.model or self._settings.model
        with open_sources(submission.sources, _columns(submission)) as sources:
            entries, name = reporting(UrlEntries(read_sources(sources))), ", ".join(submission.sources)
            return try_sample(entries, sample, model, self._settings, name)

    def jobs(self, before: int | None, limit: int) -> list[JobStatus]:
        """Return the newest jobs."""
        return [read_status(self._store, job) for job in self._store.jobs.newest(before, limit)]

    def job(self, job_id: int) -> JobStatus:
        """Return the status of a job."""
        return read_status(self._store, self._store.jobs.get(job_id))

    def follow(self, job_id: int) -> Iterator[JobStatus]:
        """Yield the status of a job every second."""
        while True:
            job = self.job(job_id)
            yield job
            if job.is_settled:
                return
            time.sleep(_INTERVAL)

    def results(self, job_id: int, filters: "ResultFilters") -> "Iterator[list[Row]]":
        """Yield the results as they are read."""
        job = self._store.jobs.get(job_id)
        yield from all_rows(self._store, job, self._wanted(job, filters))

    def write_results(self, job_id: int, filters: "ResultFilters", target: str) -> None:
        """Write the results as the API exports them."""
        job = self._store.jobs.get(job_id)
        write_results(self._store, job, self._wanted(job, filters), target)

    def report(self, job_id: int, formats: Collection[str]) -> dict[str, str]:
        """Sum the results up once, and write that in each format."""
        from results_api.report.report import make_report

        summary = self._store.summaries.get(
            job_id, self._settings.host_delay, _REPORT_ROWS, self._settings.own_host_names
        )
        report = make_report(summary, self._store.models.get(summary.job.model_id))
        return {format: _WRITERS[format](report) for format in formats}

    def cancel(self, job_id: int) -> JobStatus:
        """Cancel the job and every image without a result."""
        actions.cancel(self._store, self._store.jobs.get(job_id))
        actions.cancel_rest(self._store, self._store.jobs.get(job_id))
        return self.job(job_id)

    def retry(self, job_id: int, codes: Sequence[Code]) -> JobStatus:
        """Remove the failures, so that the images are published again."""
        count = actions.retry(self._store, self._store.jobs.get(job_id), codes)
        return replace(self.job(job_id), retried=count)

    def give_up(self, job_id: int) -> JobStatus:
        """Store the last errors of the waiting images as their results."""
        count = actions.give_up(self._store, self._store.jobs.get(job_id))
        return replace(self.job(job_id), given_up=count)

    def resume(self, job_id: int, max_failure_rate: float | None) -> JobStatus:
        """Resume the job."""
        actions.resume(self._store, self._store.jobs.get(job_id), max_failure_rate)
        return self.job(job_id)

    def delete(self, job_id: int) -> None:
        """Delete the job and all its rows."""
        job = self._store.jobs.get(job_id)
        actions.delete(self._store, job)
        actions.remove_rest(self._store, job)

    def hosts(self, after: str, limit: int) -> list[Host]:
        """Return hosts as the fleet treats them now."""
        return actions.list_hosts(self._store, self._settings, after, limit)

    def set_blocked(self, host: str, blocked: bool) -> None:
        """Block or release the host for the whole fleet."""
        actions.set_blocked(self._store, self._settings, host, blocked)

    def _wanted(self, job: Job, filters: "ResultFilters") -> Filter:
        """Return the filters as the store has them; raise ``UsageError(class_unknown)``."""
        state, code, name = filters.get("state"), filters.get("code"), filters.get("class_")
        class_ids = None
        if name is not None:
            try:
                class_ids = class_ids_of(name, self._store.models.get(job.model_id).labels)
            except RequestError as error:
                raise UsageError(error.code, error.detail) from error
        return Filter(
            state=None if state is None else ItemState(state),
            code=None if code is None else Code(code),
            class_ids=class_ids,
            min_score=filters.get("min_score"),
            host=filters.get("host"),
        )

    def _open_job(self, submission: Submission) -> Job:
        """Return the job of this key, new or recorded in part, or raise ``UsageError``."""
        model = model_of(self._store, self._settings, submission.model)
        priority, limit = PRIORITIES[submission.priority], submission.max_failure_rate
        job = self._store.jobs.open(f"submit {submission.key}", model.id, submission.name, limit, priority)
        if job.state in (JobState.CANCELLING, JobState.CANCELLED):
            raise UsageError(Code.JOB_NOT_READY, f"job {job.id}, which this key names, was cancelled")
        if job.model_id != model.id:
            detail = f"job {job.id} is to be labelled by {self._store.models.get(job.model_id).name}"
            raise UsageError(Code.KEY_TAKEN, detail)
        return job

    def _record(self, job: Job, entries: Iterable[Entry], recorded: Callable[[int], None]) -> None:
        with _Publishing(self._store, job.id, self._settings) as publishing:
            try:
                for count in record(self._store, job, entries, publishing.stop):
                    recorded(count)
            except ResourceError as error:
                if error.code is Code.SOURCE_CHANGED:
                    raise UsageError(Code.KEY_TAKEN, error.detail) from error
                raise
            publishing.finish()

    def _drop_if_empty(self, job_id: int) -> None:
        """End a job without images; the same key makes a new one."""
        if not self._store.jobs.get(job_id).submitted:
            self._store.jobs.release_key(job_id)
            self._store.jobs.cancel(job_id)
            self._store.jobs.complete(job_id)


class _Publishing:
    """Publishes in a thread what is recorded, if there is a broker."""

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
        """Wait until everything recorded is published, as far as the queue has room."""
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
                    self._recorded.wait(_PUBLISH_INTERVAL)
        except BrokerClosedError:
            pass  # a worker's dispatcher publishes the rest
        finally:
            dispatcher.close()


def _columns(submission: Submission) -> ListColumns:
    return ListColumns(submission.column, submission.id_column)


def _page(report: "Report") -> str:
    from results_api.report.page import render

    return render(report)


_WRITERS: dict[str, Callable[["Report"], str]] = {"html": _page, "json": lambda report: report.as_json()}
