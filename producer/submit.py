"""Record a job's items in the store."""

import hashlib
import itertools
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from producer.references import Entry, MalformedEntry, Reference
from shared.errors import Code, ResourceError
from shared.items import Item
from shared.store.store import Job, Store

#: Items written in one transaction.
_RECORDED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first pass over the sources found; equal digests mean the same references in the same order."""

    references: int
    malformed: int
    digest: str


class _Digest:
    """Computes a digest of a list of references."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.references = 0

    def passing(self, entries: Iterable[Entry]) -> Iterator[Reference]:
        """Yield the references among entries, adding each to the digest."""
        for entry in entries:
            if isinstance(entry, Reference):
                self.add(entry)
                yield entry

    def add(self, reference: Reference) -> None:
        """Add one reference."""
        self.references += 1
        self._hash.update(f"{reference.ref}\n{reference.custom_id or ''}\n".encode())

    def value(self) -> str:
        """Return the digest so far; empty without references."""
        return self._hash.hexdigest() if self.references else ""


def survey(entries: Iterable[Entry]) -> Survey:
    """Read all entries once, without keeping them."""
    digest = _Digest()
    malformed = 0

    def counted() -> Iterator[Entry]:
        nonlocal malformed
        for entry in entries:
            malformed += entry.lines if isinstance(entry, MalformedEntry) else 0
            yield entry

    deque(digest.passing(counted()), maxlen=0)
    return Survey(digest.references, malformed, digest.value())


def record(
    store: Store, job: Job, entries: Iterable[Entry], stop: threading.Event, expected: str | None = None
) -> Iterator[int]:
    """Write the items of a job that are not yet recorded, in order, and mark it as recorded.

    Yields the number of items recorded, after each transaction. Stops early, without marking the job, when
    told to: the next call resumes there. Raises ``ResourceError(source_changed)`` if the references do not
    begin with the recorded ones, add to a job that is marked, or do not have the expected digest.
    """
    digest = _Digest()
    references = digest.passing(entries)
    deque(itertools.islice(references, job.submitted), maxlen=0)
    if digest.value() != job.references_digest:
        raise _changed(job)
    yield job.submitted
    while chunk := list(itertools.islice(references, _RECORDED_AT_ONCE)):
        if job.recorded:
            raise _changed(job)
        if stop.is_set():
            return
        index = digest.references - len(chunk)
        store.items.add(
            [Item(job.id, index + i, r.ref, r.custom_id) for i, r in enumerate(chunk)], digest.value()
        )
        yield digest.references
    if expected is not None and digest.value() != expected:
        raise ResourceError(Code.SOURCE_CHANGED, "it was read twice; run the command again")
    store.jobs.mark_recorded(job.id)


def _changed(job: Job) -> ResourceError:
    detail = f"job {job.id} has recorded {job.submitted} references, which are no longer the first ones"
    return ResourceError(Code.SOURCE_CHANGED, detail)
