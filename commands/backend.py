"""What the job commands work on: jobs in this machine's database, or jobs behind an API."""

from argparse import Namespace
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shared.errors import Code
from shared.estimate import Estimate
from shared.hosts import Host
from shared.job_status import JobStatus
from shared.settings import Settings

if TYPE_CHECKING:
    from api_client.client import ResultFilters
    from results_api.rows import Row


@dataclass(frozen=True, slots=True)
class Submission:
    """What `smartsight submit` is given; ``key`` names the submission, so that it can be resumed."""

    sources: Sequence[str]
    key: str = ""
    column: str = "url"
    id_column: str | None = None
    name: str | None = None
    model: str | None = None
    max_failure_rate: float | None = None
    priority: str = "normal"
    webhook: str | None = None


class JobBackend(Protocol):
    """Jobs, their results and their hosts.

    Methods on one job raise ``UsageError``: ``job_unknown`` if there is none of this id, ``job_not_ready`` if
    its state does not allow the operation.
    """

    @property
    def api_option(self) -> str:
        """The option with which another command reaches the same jobs, with a space before it; or nothing."""
        ...

    def submit(
        self, submission: Submission, begun: Callable[[JobStatus], None], recorded: Callable[[int], None]
    ) -> JobStatus:
        """Record a job, and return it when its whole list is recorded.

        Calls ``begun`` with the new job, then ``recorded`` with the number of images as it grows. Prints the
        lines that hold no URL; ``malformed`` of the returned job counts them.
        """
        ...

    def estimate(self, submission: Submission, sample: int) -> Estimate:
        """Return what to expect of a list, judged by a sample of so many images; record nothing."""
        ...

    def jobs(self, before: int | None, limit: int) -> list[JobStatus]:
        """Return the newest jobs, of those with a smaller id than ``before``."""
        ...

    def job(self, job_id: int) -> JobStatus:
        """Return the status of a job."""
        ...

    def follow(self, job_id: int) -> Iterator[JobStatus]:
        """Yield the status of a job as it changes, until it is over or paused."""
        ...

    def results(self, job_id: int, filters: "ResultFilters") -> "Iterator[list[Row]]":
        """Yield the results of a job that meet all filters, in the order of its list, page by page."""
        ...

    def write_results(self, job_id: int, filters: "ResultFilters", target: str) -> None:
        """Write the same results to a file, in the format of its extension; or to ``-`` as JSON Lines."""
        ...

    def report(self, job_id: int, formats: Collection[str]) -> dict[str, str]:
        """Return the report of a job in each of these formats: ``json``, ``html``."""
        ...

    def cancel(self, job_id: int) -> JobStatus:
        """Stop a job for good; its results are kept."""
        ...

    def retry(self, job_id: int, codes: Sequence[Code]) -> JobStatus:
        """Try failures again: those with these codes, or all with a transient code; see ``retried``."""
        ...

    def give_up(self, job_id: int) -> JobStatus:
        """End the images that wait for another attempt, with their last error; see ``given_up``."""
        ...

    def resume(self, job_id: int, max_failure_rate: float | None) -> JobStatus:
        """Resume a paused job, with a new limit to its failures or none."""
        ...

    def delete(self, job_id: int) -> None:
        """Delete a job that is over, with its list and its results."""
        ...

    def hosts(self, after: str, limit: int) -> list[Host]:
        """Return the hosts whose name comes after this one."""
        ...

    def set_blocked(self, host: str, blocked: bool) -> None:
        """Stop all requests to a host; or allow them again, and forget its failures."""
        ...


def open_backend(options: Namespace, settings: Settings) -> AbstractContextManager[JobBackend]:
    """Open the API that `--api` names, else the database of the settings; only its libraries are loaded."""
    if options.api is None:
        from commands.store_backend import open_store_backend

        return open_store_backend(settings)
    from commands.remote_backend import open_remote_backend

    return open_remote_backend(options.api, settings)
