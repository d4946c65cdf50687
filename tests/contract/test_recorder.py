"""Lists that wait to be recorded: held by one recorder at a time, and none of them the end of the others."""

import errno
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import cast

import pytest
from sqlalchemy import update

from producer.recorder import Recorder
from shared.budgets import ListBudget
from shared.errors import Code, ResourceError
from shared.items import JobState
from shared.store.database import Database
from shared.store.schema_api import uploads as table
from shared.store.store import Job, NewJob, RecordedModel, Store
from shared.store.uploads import Uploads
from tests.servers.waiting import wait_until

_URL = b"https://a.example/1.jpg\n"
_BUDGET = ListBudget(1 << 20)
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
    Recorder(store, _BUDGET, lambda: cast(_Uploads, store.uploads).time).record_waiting(
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
    recorder = Recorder(store, _BUDGET, lambda: cast(_Uploads, store.uploads).time)
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


def test_keys_take_turns(store: Store, uploads: _Uploads, model: RecordedModel) -> None:
    order = []

    def noting(name: str) -> Callable[[], Iterator[bytes]]:
        def content() -> Iterator[bytes]:
            order.append(name)
            yield _URL

        return content

    for key_id, name in ((1, "a1"), (1, "a2"), (1, "a3"), (2, "b1"), (2, "b2"), (None, "c1")):
        job = store.uploads.accept(NewJob(name, "", model.id, "list.txt", key_id=key_id), [_URL])[0]
        uploads.contents[job.id] = noting(name)
    clock = itertools.count()
    Recorder(store, _BUDGET, lambda: next(clock)).record_waiting(threading.Event())
    assert [name for name, _ in itertools.groupby(order)] == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_lists_of_one_key_do_not_hold_up_those_of_others(
    store: Store, uploads: _Uploads, model: RecordedModel
) -> None:
    going_on, stop = threading.Event(), threading.Event()
    begun = []

    def endless() -> Iterator[bytes]:
        begun.append(going_on.is_set())
        yield _URL
        going_on.wait(60)

    jobs = [
        store.uploads.accept(NewJob(str(number), "", model.id, "list.txt", key_id=key_id), [_URL])[0]
        for number, key_id in enumerate((1, 1, 1, 2))
    ]
    for job in jobs[:3]:
        uploads.contents[job.id] = endless
    recorder = Recorder(store, _BUDGET)
    thread = threading.Thread(target=recorder.run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: store.jobs.get(jobs[3].id).recorded, 30, "the list of the other key")
        assert not any(store.jobs.get(job.id).recorded for job in jobs[:3])
        assert begun == [False]
        going_on.set()
        wait_until(lambda: all(store.jobs.get(job.id).recorded for job in jobs), 30, "all lists")
    finally:
        going_on.set()
        stop.set()
        recorder.wake()
        thread.join()


def _die(store: Store, job: Job, name: str) -> None:
    """Be a recorder that dies while it has the list."""
    assert store.uploads.lease(job.id, name, -1.0)


def test_a_list_that_has_killed_two_recorders_ends_its_job(database: Database, accept: Accept) -> None:
    store = Store(database)
    job, other = accept("deadly"), accept("other")
    for name in ("first", "second"):
        _die(store, job, name)
    Recorder(store, _BUDGET).record_waiting(threading.Event())
    assert store.jobs.get(job.id).reason == f"{Code.RECORDER_CRASHED.sentence} (list.txt)"
    assert (store.jobs.get(job.id).submitted, store.jobs.get(other.id).submitted) == (0, 9)
    assert store.uploads.waiting() == []


def test_a_list_that_is_recorded_piece_by_piece_may_lose_many_recorders(
    database: Database, accept: Accept
) -> None:
    store, job = Store(database), accept("long")
    for name in ("first", "second", "third"):
        _die(store, job, name)
        assert store.uploads.lease(job.id, "next", 10.0)
        store.uploads.forget_crashes(job.id)
        store.uploads.release(job.id, "next")
    _die(store, job, "last")
    Recorder(store, _BUDGET).record_waiting(threading.Event())
    assert (store.jobs.get(job.id).recorded, store.jobs.get(job.id).submitted) == (True, 9)


def test_a_reader_that_is_killed_once_is_tried_again(store: Store, uploads: _Uploads, accept: Accept) -> None:
    killed, job = ResourceError(Code.RECORDER_CRASHED, "list.txt"), accept("unlucky")
    uploads.contents[job.id] = _raising(killed)
    _record(store)
    assert store.jobs.get(job.id).state is JobState.SUBMITTING
    del uploads.contents[job.id]
    _record(store)
    assert store.jobs.get(job.id).recorded
    twice = accept("deadly")
    uploads.contents[twice.id] = _raising(killed)
    for _ in range(2):
        _record(store)
    assert Code.RECORDER_CRASHED.sentence in store.jobs.get(twice.id).reason


def test_a_lease_of_a_clock_that_was_ahead_is_none(database: Database, accept: Accept) -> None:
    store, job = Store(database), accept("early")
    with database.write() as connection:
        connection.execute(update(table).values(holder="gone", held_until=time.time() + 86_400))
    assert [upload.job_id for upload in store.uploads.waiting()] == [job.id]
    assert store.uploads.lease(job.id, "next", 10.0)
    assert not store.uploads.lease(job.id, "another", 10.0)
