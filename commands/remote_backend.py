"""Jobs behind an API, possibly of another machine."""

import json
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import dropwhile, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from api_client import Client
from api_client.client import ResultFilters
from api_client.submissions import SubmitOptions
from commands.backend import Submission
from commands.sources import open_sources, reporting, what_was_looked_for
from producer.references import ListColumns, MalformedEntry, Reference, UrlEntries
from producer.sources import STDIN, is_list, read_sources
from results_api.exports import open_output
from shared.errors import Code, RequestError, ResourceError, UsageError
from shared.estimate import Estimate
from shared.hosts import Host
from shared.job_status import JobStatus, MalformedLines
from shared.settings import Settings

if TYPE_CHECKING:
    from results_api.rows import Row

#: Codes of the API that are wrong usage of a command, as they are on the database.
_WRONG_USAGE = (
    *(Code.JOB_UNKNOWN, Code.JOB_NOT_READY, Code.KEY_TAKEN, Code.COLUMN_UNKNOWN, Code.MODEL_UNKNOWN),
    *(Code.REQUEST_INVALID, Code.CLASS_UNKNOWN, Code.WEBHOOK_INVALID, Code.HOST_INVALID),
)
#: Results written at a time.
_PAGE = 500


@contextmanager
def open_client(url: str, settings: Settings) -> Iterator[Client]:
    """Give a client of the API at a URL, or at that of the settings; its refusals become command errors."""
    with Client(url or settings.api_url, settings.api_key) as client:
        try:
            yield client
        except RequestError as error:
            if error.code in _WRONG_USAGE:
                raise UsageError(error.code, error.detail) from error
            raise ResourceError(error.code, error.detail) from error


@contextmanager
def open_remote_backend(url: str, settings: Settings) -> Iterator["RemoteBackend"]:
    """Give the jobs of the API at a URL, or at that of the settings."""
    with open_client(url, settings) as client:
        yield RemoteBackend(client, f" --api {url}" if url else " --api")


class RemoteBackend:
    """A ``JobBackend`` on an API."""

    def __init__(self, client: Client, api_option: str) -> None:
        self._client = client
        self.api_option = api_option

    def submit(
        self, submission: Submission, begun: Callable[[JobStatus], None], recorded: Callable[[int], None]
    ) -> JobStatus:
        """Send the list, and wait until the API has recorded it."""
        with _list_file(submission) as list_file:
            options = _options(submission, list_file)
            new = self._client.submit(list_file.path, idempotency_key=submission.key, **options)
            begun(new)
            for job in self._client.follow(new.id):
                recorded(job.submitted)
                if job.recorded:
                    break
        _report_malformed(submission, job)
        return replace(job, malformed=MalformedLines(list_file.malformed + job.malformed.count))

    def estimate(self, submission: Submission, sample: int) -> Estimate:
        """Have the API fetch and label a sample of the list."""
        with _list_file(submission) as list_file:
            return self._client.estimate(list_file.path, sample=sample, **_options(submission, list_file))

    def jobs(self, before: int | None, limit: int) -> list[JobStatus]:
        """Return the newest jobs."""
        jobs: Iterable[JobStatus] = self._client.jobs(limit=limit)
        if before is not None:
            jobs = dropwhile(lambda job: job.id >= before, jobs)
        return list(islice(jobs, limit))

    def job(self, job_id: int) -> JobStatus:
        """Return the status of a job."""
        return self._client.job(job_id)

    def follow(self, job_id: int) -> Iterator[JobStatus]:
        """Yield the status of a job after every change."""
        return self._client.follow(job_id)

    def results(self, job_id: int, filters: ResultFilters) -> "Iterator[list[Row]]":
        """Yield the results as they arrive."""
        rows = self._client.results(job_id, **filters)
        while page := list(islice(rows, _PAGE)):
            yield page

    def write_results(self, job_id: int, filters: ResultFilters, target: str) -> None:
        """Write the results as they arrive, without the columns that only a newer API has."""
        with open_output(target) as writer:
            for rows in self.results(job_id, filters):
                writer.write(rows)

    def report(self, job_id: int, formats: Collection[str]) -> dict[str, str]:
        """Have the API make the report, once for each format."""
        makers = {"json": self._report_json, "html": self._client.report_page}
        return {format: makers[format](job_id) for format in formats}

    def cancel(self, job_id: int) -> JobStatus:
        """Cancel the job; the API cancels its images after its response."""
        return self._client.cancel(job_id)

    def retry(self, job_id: int, codes: Sequence[Code]) -> JobStatus:
        """Try failures again."""
        return self._client.retry(job_id, codes)

    def give_up(self, job_id: int) -> JobStatus:
        """End the images that wait."""
        return self._client.give_up(job_id)

    def resume(self, job_id: int, max_failure_rate: float | None) -> JobStatus:
        """Resume the job."""
        return self._client.resume(job_id, max_failure_rate)

    def delete(self, job_id: int) -> None:
        """Delete the job; the API removes its rows after its response."""
        self._client.delete(job_id)

    def hosts(self, after: str, limit: int) -> list[Host]:
        """Return hosts as the fleet treats them now."""
        hosts = dropwhile(lambda host: host.host <= after, self._client.hosts(limit=limit))
        return list(islice(hosts, limit))

    def set_blocked(self, host: str, blocked: bool) -> None:
        """Block or release the host for the whole fleet."""
        (self._client.block_host if blocked else self._client.release_host)(host)

    def _report_json(self, job_id: int) -> str:
        return json.dumps(self._client.report(job_id), ensure_ascii=False, indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class _ListFile:
    """The list to send, its columns, and how many lines without a URL were left out of it here."""

    path: Path
    column: str
    id_column: str | None
    malformed: int = 0


@contextmanager
def _list_file(submission: Submission) -> Iterator[_ListFile]:
    """Give the one list file of a submission as it is; write one from any other sources."""
    sources = submission.sources
    if len(sources) == 1 and sources[0] != STDIN and is_list(sources[0]) and not os.path.isdir(sources[0]):
        yield _ListFile(Path(sources[0]), submission.column, submission.id_column)
    else:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".jsonl") as file:
            malformed = _write_list(file, submission)
            yield _ListFile(Path(file.name), "url", "id", malformed)


def _write_list(file: IO[str], submission: Submission) -> int:
    """Write the URLs of all sources, and return how many lines hold none."""
    columns = ListColumns(submission.column, submission.id_column)
    try:
        with open_sources(submission.sources, columns) as sources:
            filtered = UrlEntries(read_sources(sources))
            references = (entry for entry in reporting(filtered) if isinstance(entry, Reference))
            file.writelines(json.dumps({"url": one.ref, "id": one.custom_id}) + "\n" for one in references)
        file.flush()
    except OSError as error:
        detail = f"the list for the API, kept in {tempfile.gettempdir()}: {error.strerror}"
        raise ResourceError(Code.SOURCE_UNREADABLE, detail) from error
    if not file.tell():
        raise ResourceError(Code.NOTHING_TO_LABEL, what_was_looked_for(submission.sources))
    return filtered.malformed


def _options(submission: Submission, list_file: _ListFile) -> SubmitOptions:
    """Return the options that are given."""
    options: dict[str, Any] = {
        "column": list_file.column,
        "id_column": list_file.id_column,
        "name": submission.name,
        "model": submission.model,
        "max_failure_rate": submission.max_failure_rate,
        "priority": None if submission.priority == "normal" else submission.priority,
        "webhook_url": submission.webhook,
    }
    given: SubmitOptions = {}
    for name, value in options.items():
        if value not in (None, ""):
            given[name] = value  # type: ignore[literal-required]
    return given


def _report_malformed(submission: Submission, job: JobStatus) -> None:
    """Print the lines in which the API found no URL."""
    source = submission.sources[0] if len(submission.sources) == 1 else "the list"
    lines = (MalformedEntry(source, one.line, one.reason, one.lines) for one in job.malformed.lines)
    for _ in reporting(lines):
        pass
