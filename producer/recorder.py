"""Record the items of uploaded lists; any process may do it, and resume where another stopped."""

import itertools
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, TypeVar

from producer.binary_lists import plain_name, spooled, unpacked
from producer.references import Entry, ListColumns, MalformedEntry, Reference, UrlEntries
from producer.sources import read_stream
from producer.submit import record, survey
from shared.errors import Code, ResourceError, SmartSightError, UsageError
from shared.job_status import MalformedLine
from shared.store.store import Store, Upload

_log = logging.getLogger("smartsight.recorder")

#: Seconds between two checks for lists.
_INTERVAL = 1.0
#: How long the lease of a list lasts, and how often it is renewed, in seconds.
_LEASE, _SIGN = 10.0, 1.0
#: Attempts at a list while the disk is full, and seconds between them.
_TRIES, _PAUSE = 10, 60.0
#: Malformed lines stored; all are counted.
_KEPT = 1000
#: Failures after which the list is retried.
_PASSING = (Code.DATABASE_UNAVAILABLE,)

_Part = TypeVar("_Part")


class _StoppedError(Exception):
    """Another process continues with the list, or this one does later."""


@dataclass
class _MalformedLines:
    """Counts the malformed lines of a list, and keeps the first ones."""

    first: list[MalformedLine] = field(default_factory=list)

    def passing(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        for entry in entries:
            if isinstance(entry, MalformedEntry) and len(self.first) < _KEPT:
                self.first.append(MalformedLine(entry.line, entry.lines, entry.reason))
            yield entry


class _ListLease:
    """Renews the lease of a list while its parts are processed."""

    def __init__(self, lease: Callable[[], bool], stop: threading.Event, clock: Callable[[], float]) -> None:
        self._lease = lease
        self._stop = stop
        self._clock = clock
        self._due = clock() + _SIGN

    def passing(self, parts: Iterable[_Part]) -> Iterator[_Part]:
        """Yield the parts; raise ``_StoppedError`` when stopped, or when the lease is lost."""
        for part in parts:
            if self._stop.is_set() or not self._is_ours():
                raise _StoppedError
            yield part

    def _is_ours(self) -> bool:
        if self._clock() < self._due:
            return True
        self._due = self._clock() + _SIGN
        return self._lease()


class Recorder:
    """Records uploaded lists. Several may run at once: each list has one recorder at a time."""

    def __init__(self, store: Store, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        """``max_bytes`` is the largest size of an unpacked list."""
        self._store = store
        self._clock = clock
        self._max_bytes = max_bytes
        self._holder = uuid.uuid4().hex
        self._awake = threading.Event()
        #: Lists for which the disk was full: attempts, and when to retry.
        self._without_room: dict[int, tuple[int, float]] = {}

    def run(self, stop: threading.Event) -> None:
        """Record lists until ``stop`` is set."""
        while not stop.is_set():
            self._awake.clear()
            try:
                self.record_waiting(stop)
            except ResourceError as error:  # the store is unavailable
                _log.warning("store unavailable", extra={"reason": str(error)})
            self._awake.wait(_INTERVAL)

    def record_waiting(self, stop: threading.Event) -> None:
        """Record the lists that no other process is recording; return early when stopped."""
        for upload in self._store.uploads.waiting():
            self._record_if_free(upload, stop)

    def wake(self) -> None:
        """Check at once: a list has arrived, or it is time to stop."""
        self._awake.set()

    def _record_if_free(self, upload: Upload, stop: threading.Event) -> None:
        def lease() -> bool:
            return self._store.uploads.lease(upload.job_id, self._holder, _LEASE)

        _, until = self._without_room.get(upload.job_id, (0, 0.0))
        if stop.is_set() or self._clock() < until or not lease():
            return
        try:
            self._record(upload, _ListLease(lease, stop, self._clock), stop)
        finally:
            self._store.uploads.release(upload.job_id, self._holder)

    def _record(self, upload: Upload, hold: _ListLease, stop: threading.Event) -> None:
        """Record a list's items, or fail its job if that is impossible."""
        noted, urls = _MalformedLines(), UrlEntries(())
        try:
            content = self._store.uploads.content(upload.job_id)
            with spooled(hold.passing(unpacked(upload.name, content, self._max_bytes))) as spool:
                self._charge(upload, lambda: hold.passing(self._entries(upload, spool)))
                urls = UrlEntries(hold.passing(self._entries(upload, spool)))
                self._record_all(upload, self._counted(upload, noted, urls), stop)
        except _StoppedError:
            return
        except SmartSightError as error:
            if error.code in _PASSING:
                raise
            self._store.jobs.fail(upload.job_id, str(error))
        except OSError as error:  # the disk is full: this list waits, the others need not
            _log.warning("list not recorded", extra={"job": upload.job_id, "reason": str(error)})
            if self._count_try(upload.job_id) < _TRIES:
                return
            self._store.jobs.fail(upload.job_id, str(ResourceError(Code.DISK_FULL, error.strerror or "")))
        except Exception:
            _log.exception("unexpected failure", extra={"job": upload.job_id})
            self._store.jobs.fail(upload.job_id, str(ResourceError(Code.INTERNAL_ERROR)))
        self._store.uploads.end(upload.job_id, noted.first, urls.malformed)

    def _counted(self, upload: Upload, noted: _MalformedLines, urls: UrlEntries) -> Iterator[Entry]:
        """Yield all entries; store the malformed ones before the job is recorded, which clients wait for."""
        yield from noted.passing(urls)
        self._store.uploads.save_malformed(upload.job_id, noted.first, urls.malformed)

    def _count_try(self, job_id: int) -> int:
        """Count one more attempt with a full disk, and return the number of attempts."""
        tries = self._without_room.get(job_id, (0, 0.0))[0] + 1
        self._without_room[job_id] = tries, self._clock() + _PAUSE
        return tries

    def _charge(self, upload: Upload, read: Callable[[], Iterator[Entry]]) -> None:
        """Count the items against their key's quota, before any of them is recorded."""
        if upload.charged or self._store.jobs.get(upload.job_id).key_id is None:
            return
        images = survey(UrlEntries(read())).references
        if not self._store.uploads.charge(upload.job_id, images):
            raise UsageError(Code.QUOTA_EXCEEDED, f"{images} images are more than today's quota has left")

    def _record_all(self, upload: Upload, entries: Iterator[Entry], stop: threading.Event) -> None:
        first = next((entry for entry in entries if isinstance(entry, Reference)), None)
        # Checked before the job is recorded: a job without items would be completed at once.
        if first is None:
            raise ResourceError(Code.NOTHING_TO_LABEL, upload.name)
        references = itertools.chain([first], entries)
        deque(record(self._store, self._store.jobs.get(upload.job_id), references, stop), maxlen=0)
        if stop.is_set():
            raise _StoppedError

    def _entries(self, upload: Upload, spool: IO[bytes]) -> Iterator[Entry]:
        """Yield a list's entries from its beginning."""
        spool.seek(0)
        columns = ListColumns(upload.ref_column, upload.id_column)
        return read_stream(plain_name(upload.name), spool, columns, self._max_bytes)
