"""Record a job's items in the store, and publish those without a result to the broker."""

import hashlib
import itertools
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from producer.entries import Entry, Malformed, Reference
from shared.broker import BrokerClosedError, Publisher
from shared.errors import Code, ResourceError
from shared.items import Item, JobState, Message
from shared.store.store import Job

#: Items written in one transaction.
_RECORDED_AT_ONCE = 1000
#: Items read from the store and published at a time.
_PUBLISHED_AT_ONCE = 500
#: How often to look for more items while they are still being recorded, in seconds.
_POLL = 0.05


class SubmitStore(Protocol):
    """What submitting needs of the store."""

    def job(self, job_id: int) -> Job:
        """See ``Store``."""
        ...

    def add_items(self, new: list[Item]) -> None:
        """See ``Store``."""
        ...

    def seal(self, job_id: int) -> None:
        """See ``Store``."""
        ...

    def pending(self, job_id: int, after: int, limit: int) -> list[Item]:
        """See ``Store``."""
        ...


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first reading of the sources found; equal digests mean the same references in the same order."""

    references: int
    malformed: int
    digest: str


class _Digest:
    """Tells lists of references apart."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.references = 0

    def passing(self, entries: Iterable[Entry]) -> Iterator[Reference]:
        """Yield the references among entries, taking note of each."""
        for entry in entries:
            if isinstance(entry, Reference):
                self.references += 1
                self._hash.update(f"{entry.ref}\n{entry.custom_id or ''}\n".encode())
                yield entry

    def value(self) -> str:
        """Return the digest of what has passed."""
        return self._hash.hexdigest()


def survey(entries: Iterable[Entry]) -> Survey:
    """Read all entries once, keeping none."""
    digest = _Digest()
    malformed = 0

    def counted() -> Iterator[Entry]:
        nonlocal malformed
        for entry in entries:
            malformed += entry.lines if isinstance(entry, Malformed) else 0
            yield entry

    deque(digest.passing(counted()), maxlen=0)
    return Survey(digest.references, malformed, digest.value())


def record(
    store: SubmitStore, job: Job, entries: Iterable[Entry], found: Survey, stop: threading.Event
) -> None:
    """Write the items of a job that are not yet recorded, in order, and seal it.

    Stops early, without sealing, when told to: the next call goes on from there. Raises
    ``ResourceError(source_changed)`` if the references are not those that the survey found.
    """
    if job.state is not JobState.SUBMITTING:
        return
    digest = _Digest()
    index = job.submitted
    for chunk in _chunks(itertools.islice(digest.passing(entries), index, None)):
        if stop.is_set():
            return
        store.add_items([Item(job.id, index + i, r.ref, r.custom_id) for i, r in enumerate(chunk)])
        index += len(chunk)
    if digest.value() != found.digest:
        detail = f"{found.references} references at first, then {digest.references}; run the command again"
        raise ResourceError(Code.SOURCE_CHANGED, detail)
    store.seal(job.id)


def _chunks(references: Iterator[Reference]) -> Iterator[list[Reference]]:
    while chunk := list(itertools.islice(references, _RECORDED_AT_ONCE)):
        yield chunk


def publish_pending(store: SubmitStore, broker: Publisher, job_id: int, stop: threading.Event) -> None:
    """Publish every item of a job that has no result, as they are recorded, until the job is sealed.

    Waits while the broker's queue is full; returns early when told to stop or the broker closes.
    """
    after = -1
    while not stop.is_set():
        sealed = store.job(job_id).state is not JobState.SUBMITTING
        page = store.pending(job_id, after, _PUBLISHED_AT_ONCE)
        if page:
            after = page[-1].index
            try:
                broker.publish(Message(item.job_id, item.index, item.ref) for item in page)
            except BrokerClosedError:
                return
        elif sealed:
            return
        else:
            stop.wait(_POLL)
