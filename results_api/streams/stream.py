"""All results that are looked for, as a stream of bytes that takes no more memory the longer it is."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from shared.errors import Code, RequestError
from shared.store.found import Filter, FoundRow
from shared.store.store import Job, Store

#: Rows read, and held in memory, at a time.
_PAGE = 2500


class Encoder(Protocol):
    """Turns rows into bytes; what the three return, one after the other, is a whole file."""

    def begin(self) -> bytes:
        """Return what comes before all rows."""
        ...

    def encode(self, rows: Sequence[FoundRow]) -> bytes:
        """Return these rows, which follow those before."""
        ...

    def end(self) -> bytes:
        """Return what comes after all rows."""
        ...


def stream(store: Store, job: Job, wanted: Filter, after: int, encoder: Encoder) -> Iterator[bytes]:
    """Yield the results that follow an index, page by page: no connection is held while nobody reads on.

    A page on which nothing was found yields nothing, empty as it is: whoever reads can leave at each. Raises
    before the end, which would make a whole of it, if the job has lost results meanwhile:
    ``UsageError(job_unknown)`` if it was deleted, ``RequestError(job_changed)`` if it was over and is not
    over as it was.
    """
    yield encoder.begin()
    place: int | None = after
    while place is not None:
        page = store.search.page(job.id, wanted, place, _PAGE)
        yield encoder.encode(page.rows) if page.rows else b""
        place = page.after
    _check_unchanged(store, job)
    yield encoder.end()


def _check_unchanged(store: Store, job: Job) -> None:
    """Look at a job again: its state changes before its results do."""
    found = store.jobs.get(job.id)
    if job.state.is_over and (found.state, found.finished_at) != (job.state, job.finished_at):
        raise RequestError(Code.JOB_CHANGED, f"job {job.id}")
