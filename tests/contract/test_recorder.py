"""Lists that wait to be recorded: held by one recorder at a time, and none of them the end of the others."""

import errno
import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from producer.recorder import Recorder
from shared.errors import Code
from shared.items import JobState
from shared.store.database import Database
from shared.store.store import Job, NewJob, RecordedModel, Store
from shared.store.uploads import Uploads

_URL = b"https://a.example/1.jpg\n"
_MAX_BYTES = 1 << 20
#: How long a piece of a list takes, and what is longer than any lease, in seconds.
_PIECE, _LATER = 3.0, 1000.0


class _Uploads(Uploads):
    """Leases by a clock of the test's, and lets lists do what they like when they are read."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.time = 0.0
        self.contents: dict[int, Callable[[], Iterator[bytes]]] = {}
        self._held: dict[int, tuple[str, float]] = {}

    def lease(self, job_id: int, holder: str, seconds: float) -> bool:
        owner, until = self._held.get(job_id, (holder, 0.0))
        ours = owner == holder or until < self.time
        if ours:
            self._held[job_id] = holder, self.time + seconds
        return ours

    def release(self, job_id: int, holder: str) -> None:
        if self._held[job_id][0] == holder:
            del self._held[job_id]

    def content(self, job_id: int) -> Iterator[bytes]:
        content = self.contents.get(job_id)
        return content() if content else super().content(job_id)


@pytest.fixture
def store(database: Database) -> Store:
    store = Store(database)
    store.uploads = _Uploads(database)
    return store


@pytest.fixture
def uploads(store: Store) -> _Uploads:
    return cast(_Uploads, store.uploads)


@pytest.fixture
def accept(store: Store, model: RecordedModel) -> Callable[[str], Job]:
    def accept(key: str) -> Job:
        return store.uploads.accept(NewJob(key, "asked", model.id, "list.txt"), [_URL] * 9)[0]

    return accept


Accept = Callable[[str], Job]


def _record(store: Store, stop: threading.Event | None = None) -> None:
    Recorder(store, _MAX_BYTES, lambda: cast(_Uploads, store.uploads).time).record_waiting(
        stop or threading.Event()
    )


def test_a_list_that_takes_long_to_unpack_is_held_meanwhile(
    store: Store, uploads: _Uploads, accept: Accept
) -> None:
    job = accept("slow")
    taken = []

    def slowly() -> Iterator[bytes]:
        for piece in [_URL] * 9:
            uploads.time += _PIECE
            yield piece
            taken.append(store.uploads.lease(job.id, "another", 1))

    uploads.contents[job.id] = slowly
    _record(store)
    assert taken == [False] * 9
    assert (store.jobs.get(job.id).recorded, store.jobs.get(job.id).submitted) == (True, 9)


def test_a_list_that_was_taken_over_is_left_alone(store: Store, uploads: _Uploads, accept: Accept) -> None:
    job = accept("lost")

    def lost() -> Iterator[bytes]:
        yield _URL
        uploads.time += _LATER
        assert store.uploads.lease(job.id, "another", _LATER)
        yield from itertools.repeat(_URL)

    uploads.contents[job.id] = lost
    _record(store)
    assert store.jobs.get(job.id).submitted == 0
    assert [upload.job_id for upload in store.uploads.waiting()] == [job.id]


def test_stopping_does_not_wait_for_what_is_unpacked(store: Store, uploads: _Uploads, accept: Accept) -> None:
    job = accept("endless")
    stop = threading.Event()

    def endless() -> Iterator[bytes]:
        yield _URL
        stop.set()
        yield from itertools.repeat(_URL)

    uploads.contents[job.id] = endless
    _record(store, stop)
    assert (store.jobs.get(job.id).state, store.jobs.get(job.id).submitted) == (JobState.SUBMITTING, 0)
    assert [upload.job_id for upload in store.uploads.waiting()] == [job.id]


def _raising(error: Exception) -> Callable[[], Iterator[bytes]]:
    def content() -> Iterator[bytes]:
        yield _URL
        raise error

    return content


def test_a_list_that_nobody_reckoned_with_fails_its_job_and_no_other(
    store: Store, uploads: _Uploads, accept: Accept, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = accept("bad"), accept("good")
    uploads.contents[bad.id] = _raising(KeyError("what is this"))
    with caplog.at_level(logging.ERROR, "smartsight.recorder"):
        _record(store)
    assert store.jobs.get(bad.id).reason == Code.INTERNAL_ERROR.sentence
    assert (store.jobs.get(good.id).recorded, store.jobs.get(good.id).submitted) == (True, 9)
    assert store.uploads.waiting() == []
    assert [vars(record)["job"] for record in caplog.records] == [bad.id]
    assert "what is this" in caplog.text


def test_a_list_that_our_disk_has_no_room_for_waits_alone(
    store: Store, uploads: _Uploads, accept: Accept
) -> None:
    large, small = accept("large"), accept("small")
    uploads.contents[large.id] = _raising(OSError("no space left on device"))
    _record(store)
    assert store.jobs.get(small.id).submitted == 9
    assert [upload.job_id for upload in store.uploads.waiting()] == [large.id]
    del uploads.contents[large.id]
    _record(store)
    assert (store.jobs.get(large.id).recorded, store.jobs.get(large.id).submitted) == (True, 9)


def test_a_list_for_which_there_is_never_room_is_given_up(
    store: Store, uploads: _Uploads, accept: Accept
) -> None:
    large, tries = accept("large"), 0

    def full() -> Iterator[bytes]:
        nonlocal tries
        tries += 1
        raise OSError(errno.ENOSPC, "no space left on device")
        yield b""

    uploads.contents[large.id] = full
    recorder = Recorder(store, _MAX_BYTES, lambda: cast(_Uploads, store.uploads).time)
    for second in range(0, 3600, 10):
        uploads.time = second
        recorder.record_waiting(threading.Event())
    assert 5 < tries < 20
    job = store.jobs.get(large.id)
    assert (job.is_running, "no space left" in job.reason) == (False, True)
    assert store.uploads.waiting() == []


def test_malformed_lines_are_known_as_soon_as_the_job_is_recorded(
    store: Store, uploads: _Uploads, accept: Accept, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, counts = accept("list"), []
    uploads.contents[job.id] = lambda: iter([_URL, b"no url\n"])
    mark_recorded = store.jobs.mark_recorded

    def mark(job_id: int) -> None:
        counts.append(store.jobs.get(job_id).malformed)
        mark_recorded(job_id)

    monkeypatch.setattr(store.jobs, "mark_recorded", mark)
    _record(store)
    assert counts == [1]
