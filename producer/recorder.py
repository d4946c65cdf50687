"""Record the items of uploaded lists; any process may do it, and resume where another stopped.

Keys take turns: a process records a few lists at the same time, each of another key, and next the one whose
key has waited longest.
"""

import itertools
import logging
import math
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from producer.list_process import ProcessUnavailableError
from producer.references import Entry, ListColumns, MalformedEntry, Reference
from producer.submit import record, survey
from producer.uploaded_lists import UploadedList, uploaded
from shared.budgets import ListBudget
from shared.errors import Code, ResourceError, SmartSightError, UsageError
from shared.job_status import MalformedLine
from shared.store.store import Store, Upload

_log = logging.getLogger("smartsight.recorder")

#: Seconds between two checks for lists.
_INTERVAL = 1.0
#: How long the lease of a list lasts, and how often it is renewed, in seconds.
_LEASE, _SIGN = 10.0, 1.0
#: Lists that a process records at the same time.
_AT_ONCE = 3
#: Attempts at a list while the disk is full, and seconds between them.
_TRIES, _PAUSE = 10, 60.0
#: Recorders that may die of a list.
_CRASHES = 2
#: Malformed lines stored; all are counted.
_KEPT = 1000
#: Failures after which the list is retried.
_PASSING = (Code.DATABASE_UNAVAILABLE,)


class _StoppedError(Exception):
    """Another process continues with the list, or this one does later."""


@dataclass
class _ListLease:
    """Renews the lease of a list while it is read."""

    renew: Callable[[], bool]
    stop: threading.Event
    clock: Callable[[], float]
    due: float = field(init=False)

    def __post_init__(self) -> None:
        self.due = self.clock() + _SIGN

    def check(self) -> None:
        """Raise ``_StoppedError`` when stopped, or when the lease is lost."""
        if self.stop.is_set() or not self._is_ours():
            raise _StoppedError

    def passing(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the pieces of a list, checking before each."""
        for piece in pieces:
            self.check()
            yield piece

    def _is_ours(self) -> bool:
        if self.clock() < self.due:
            return True
        self.due = self.clock() + _SIGN
        return self.renew()


class Recorder:
    """Records uploaded lists. Several may run at once: each list has one recorder at a time."""

    def __init__(self, store: Store, budget: ListBudget, clock: Callable[[], float] = time.monotonic) -> None:
        """``budget`` is what each list may cost."""
        self._store = store
        self._clock = clock
        self._budget = budget
        self._holder = uuid.uuid4().hex
        self._awake = threading.Event()
        #: The lists that are being recorded, and their keys.
        self._recording: dict[int, int | None] = {}
        #: When a list of each key was begun.
        self._turns: dict[int | None, float] = {}
        #: Lists for which the disk was full: attempts, and when to retry.
        self._without_room: dict[int, tuple[int, float]] = {}

    def run(self, stop: threading.Event) -> None:
        """Record lists until ``stop`` is set."""
        with ThreadPoolExecutor(_AT_ONCE, "recorder") as threads:
            while not stop.is_set():
                self._awake.clear()
                try:
                    while len(self._recording) < _AT_ONCE and (upload := self._next()):
                        self._recording[upload.job_id] = upload.key_id
                        threads.submit(self._take_turn, upload, stop)
                except ResourceError as error:
                    _log.warning("store unavailable", extra={"reason": str(error)})
                self._awake.wait(_INTERVAL)

    def record_waiting(self, stop: threading.Event) -> None:
        """Record the lists that no other process is recording; return early when stopped."""
        tried: set[int] = set()
        while not stop.is_set() and (upload := self._next(tried)):
            tried.add(upload.job_id)
            self._record_if_free(upload, stop)

    def wake(self) -> None:
        """Check at once: a list has arrived, or it is time to stop."""
        self._awake.set()

    def _next(self, tried: Collection[int] = ()) -> Upload | None:
        """Return the list whose turn it is: of the key that has waited longest, the oldest one."""
        now = self._clock()
        later = {job_id for job_id, (_, until) in self._without_room.items() if now < until}
        busy = set(self._recording.values())
        waiting = self._store.uploads.waiting({*later, *tried, *self._recording})
        free = [upload for upload in waiting if upload.key_id not in busy]
        upload = min(free, key=lambda one: (self._turns.get(one.key_id, -math.inf), one.job_id), default=None)
        if upload:
            self._turns[upload.key_id] = now
        return upload

    def _take_turn(self, upload: Upload, stop: threading.Event) -> None:
        """Record a list in a thread of its own."""
        try:
            self._record_if_free(upload, stop)
            self.wake()
        except ResourceError as error:
            _log.warning("store unavailable", extra={"reason": str(error)})
        except Exception:
            _log.exception("unexpected failure", extra={"job": upload.job_id})
        finally:
            del self._recording[upload.job_id]

    def _record_if_free(self, upload: Upload, stop: threading.Event) -> None:
        def lease() -> bool:
            return self._store.uploads.lease(upload.job_id, self._holder, _LEASE)

        if stop.is_set() or not lease():
            return
        try:
            leased = self._store.uploads.get(upload.job_id)
            if leased:
                self._record(leased, _ListLease(lease, stop, self._clock), stop)
        finally:
            self._store.uploads.release(upload.job_id, self._holder)

    def _record(self, upload: Upload, hold: _ListLease, stop: threading.Event) -> None:
        """Record a list's items, or fail its job if that is impossible."""
        found = _Malformed()
        try:
            if upload.crashes >= _CRASHES:
                raise ResourceError(Code.RECORDER_CRASHED, upload.name)
            content = hold.passing(self._store.uploads.content(upload.job_id))
            columns = ListColumns(upload.ref_column, upload.id_column)
            with uploaded(upload.name, content, columns, self._budget, hold.check) as listed:
                self._charge(upload, listed)
                self._record_all(upload, listed, found, stop)
        except _StoppedError:
            return
        except Exception as error:
            reason = self._reason(upload, error)
            if reason is None:
                return
            self._store.jobs.fail(upload.job_id, reason)
        self._store.uploads.end(upload.job_id, found.first, found.count)

    def _reason(self, upload: Upload, error: Exception) -> str | None:
        """Return why a list cannot be recorded, or None if it is to be tried again; or raise the error."""
        job_id = upload.job_id
        if isinstance(error, OSError | ProcessUnavailableError):  # this list waits, the others need not
            _log.warning("list not recorded", extra={"job": job_id, "reason": str(error)})
            if self._count_try(job_id) < _TRIES:
                return None
            return str(error if isinstance(error, SmartSightError) else _disk_full(error))
        if isinstance(error, SmartSightError):
            if error.code in _PASSING:
                raise error
            if error.code is Code.RECORDER_CRASHED and upload.crashes + 1 < _CRASHES:
                _log.warning("list not recorded", extra={"job": job_id, "reason": str(error)})
                self._store.uploads.count_crash(job_id)
                return None
            return str(error)
        _log.error("unexpected failure", extra={"job": job_id}, exc_info=error)
        return str(ResourceError(Code.INTERNAL_ERROR))

    def _count_try(self, job_id: int) -> int:
        """Count one more attempt with a full disk, and return the number of attempts."""
        tries = self._without_room.get(job_id, (0, 0.0))[0] + 1
        self._without_room[job_id] = tries, self._clock() + _PAUSE
        return tries

    def _charge(self, upload: Upload, listed: UploadedList) -> None:
        """Count the items against their key's quota, before any of them is recorded."""
        if upload.charged or upload.key_id is None:
            return
        images = survey(listed.entries()).references
        if not self._store.uploads.charge(upload.job_id, images):
            raise UsageError(Code.QUOTA_EXCEEDED, f"{images} images are more than today's quota has left")

    def _record_all(
        self, upload: Upload, listed: UploadedList, found: "_Malformed", stop: threading.Event
    ) -> None:
        """Record all items; and their malformed lines before the job is recorded, which clients wait for."""

        def entries() -> Iterator[Entry]:
            yield from found.counted(listed)
            self._store.uploads.save_malformed(upload.job_id, found.first, found.count)

        read = entries()
        first = next((entry for entry in read if isinstance(entry, Reference)), None)
        # Checked before the job is recorded: a job without items would be completed at once.
        if first is None:
            raise ResourceError(Code.NOTHING_TO_LABEL, upload.name)
        job, crashes = self._store.jobs.get(upload.job_id), upload.crashes
        for submitted in record(self._store, job, itertools.chain([first], read), stop):
            if crashes and submitted > job.submitted:
                self._store.uploads.forget_crashes(upload.job_id)
                crashes = 0
        if stop.is_set():
            raise _StoppedError


class _Malformed:
    """The malformed lines of a list: all are counted, the first ones kept."""

    def __init__(self) -> None:
        self.first: list[MalformedLine] = []
        self.count = 0

    def counted(self, listed: UploadedList) -> Iterator[Entry]:
        """Yield the entries of a list, noting the malformed ones."""
        for entry in listed.entries():
            if isinstance(entry, MalformedEntry) and len(self.first) < _KEPT:
                self.first.append(MalformedLine(entry.line, entry.lines, entry.reason))
            self.count = listed.malformed
            yield entry


def _disk_full(error: OSError) -> ResourceError:
    return ResourceError(Code.DISK_FULL, error.strerror or "")
