"""The worker between fakes: what becomes of a delivery."""

import asyncio
import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from shared.broker import Delivery, InProcessBroker
from shared.classifier.classifier import Classification, Classifier, Prediction
from shared.classifier.model import Label
from shared.errors import Code, ItemError, ResourceError
from shared.fetching.fetcher import Fetched, FetchRequest, FileFetcher, Redirected
from shared.images import Picture
from shared.items import ItemState, JobState, Message, Result
from shared.store.store import Job, RecordedModel, Store
from tests.servers.waiting import wait_until
from worker.delivery import Inference, RetryScheduler
from worker.fetch_task import FetchTask
from worker.host_queues import HostSlot
from worker.job_cache import JobCache
from worker.store_retry import StoreRetry
from worker.worker import Backends, Fetchers, Worker, WorkerPlan

_PATIENCE = 10.0


class _Store:
    """Keeps results, and tells when so many are there."""

    def __init__(self, expected: int = 1, error: ResourceError | None = None) -> None:
        self.saved: dict[int, Result] = {}
        self.full = threading.Event()
        self._expected = expected
        self._error = error

        self.known: dict[str, Result] = {}
        self.denied: set[str] = set()
        self.job_state = JobState.RUNNING
        self.job_local = False
        #: Jobs and indexes whose next result is not stored.
        self.unfounded: set[tuple[int, int]] = set()
        self.trials: Counter[int] = Counter()
        self.jobs = SimpleNamespace(get=self._job)
        self.models = SimpleNamespace(get=lambda model_id: RecordedModel(model_id, "lite0", "1", []))
        self.results = SimpleNamespace(save=self._save, labelled=self._labelled)
        self.stored_responses = SimpleNamespace(find=lambda model_id, refs: {})
        self.deny_list = SimpleNamespace(urls=self._denied, contents=self._denied)
        self.poison = SimpleNamespace(begin_trial=self._begin_trial, end_trial=self._end_trial)
        # Nothing waits: no host is throttled here.
        self.waiting = SimpleNamespace(take=lambda *_: None)
        #: The failures that were noted with their next attempt, and the items that were given up.
        self.noted: list[tuple[Result, float | None, float]] = []
        self.given_up: set[int] = set()
        self.retries = SimpleNamespace(
            add=lambda *values: self.noted.append(values),
            is_over=lambda message: message.index in self.given_up,
        )
        self.workers = SimpleNamespace(note=lambda *_: None, remove=lambda *_: None)

    def _job(self, job_id: int) -> Job:
        epoch = datetime.fromtimestamp(0, UTC)
        job = Job(job_id, None, self.job_state, "", True, 3, 1000, "", 0, None, epoch, None)
        return replace(job, local=self.job_local)

    def _labelled(self, model_id: int, digests: Collection[str]) -> dict[str, Result]:
        assert model_id == 3
        return {digest: self.known[digest] for digest in digests if digest in self.known}

    def _denied(self, named: Collection[str]) -> set[str]:
        return self.denied & set(named)

    def _begin_trial(self, message: Message, limit: int) -> bool:
        self.trials[message.index] += 1
        return self.trials[message.index] <= limit

    def _end_trial(self, message: Message) -> None:
        self.trials[message.index] = 0

    def _save(self, new: Iterable[Result]) -> set[tuple[int, int]]:
        if self._error:
            raise self._error
        unfounded, self.unfounded = self.unfounded, set()
        for result in new:
            if (result.job_id, result.index) not in unfounded:
                self.saved.setdefault(result.index, result)
        if len(self.saved) >= self._expected:
            self.full.set()
        return unfounded


class _Fetcher:
    """Answers each reference with what the test laid down, and counts."""

    def __init__(self, answer: Callable[[str, int], bytes]) -> None:
        self._answer = answer
        self.calls: list[str] = []
        self.closed = False

    async def fetch(self, request: FetchRequest) -> Fetched:
        ref = request.ref
        self.calls.append(ref)
        content = self._answer(ref, self.calls.count(ref))
        return Fetched(lambda: content, f"http://final/{ref}", 200)

    async def close(self) -> None:
        self.closed = True


class _Classifier:
    """Names the class after the bytes; refuses those that say so."""

    model = SimpleNamespace(version="1", labels=range(1000))

    def __init__(self) -> None:
        self.calls = 0

    def classify(self, data: bytes, top: int) -> Classification:
        self.calls += 1
        if data == b"broken":
            raise ItemError(Code.IMAGE_CORRUPT, "by a test")
        if data == b"huge":
            raise ItemError(Code.OUT_OF_MEMORY)
        if data == b"defect":
            raise ZeroDivisionError
        picture = Picture(np.zeros((1, 1, 3), np.uint8), 640, 480, "JPEG")
        best = Prediction(len(data), Label("n1", "cat"), 0.12345678)
        return Classification(picture, [best] * top, None)


def _run(
    broker: InProcessBroker,
    store: _Store,
    fetcher: _Fetcher,
    retry_delays: tuple[float, ...] = (),
    grace: float = 3.0,
    classifier: _Classifier | None = None,
    thumbnail_side: int = 0,
) -> None:
    """Run a worker until the store is full."""
    with ThreadPoolExecutor(2) as cpu, ThreadPoolExecutor(1) as thread:
        plan = WorkerPlan(2, 4, retry_delays, grace, wait_for_store=False, thumbnail_side=thumbnail_side)
        classifier = cast(Classifier, classifier or _Classifier())
        backends = Backends(cast(Store, store), broker, broker)
        worker = Worker(backends, Fetchers(fetcher), Inference(lambda _: classifier, cpu), plan)
        running = thread.submit(lambda: asyncio.run(worker.run()))
        running.add_done_callback(lambda _: store.full.set())
        assert store.full.wait(_PATIENCE)
        worker.stop()
        running.result(_PATIENCE)


def _published(*refs: str) -> InProcessBroker:
    broker = InProcessBroker()
    broker.publish(Message(1, index, ref) for index, ref in enumerate(refs))
    return broker


def _unacked(broker: InProcessBroker) -> int:
    return len(broker._unacked)


def test_a_labelled_item_is_stored_with_its_evidence_and_acked() -> None:
    broker, store = _published("a.jpg"), _Store()
    fetcher = _Fetcher(lambda ref, _: b"image of " + ref.encode())
    _run(broker, store, fetcher)
    result = store.saved[0]
    assert (result.job_id, result.state, result.model_id, result.attempts) == (1, ItemState.SUCCEEDED, 3, 1)
    assert (result.class_ids, result.scores) == ((14, 14), (0.123457, 0.123457))
    evidence = result.evidence
    assert (evidence.width, evidence.height, evidence.format, evidence.bytes) == (640, 480, "JPEG", 14)
    assert evidence.sha256 is not None
    assert len(evidence.sha256) == 64
    assert (evidence.final_url, evidence.http_status) == ("http://final/a.jpg", 200)
    assert _unacked(broker) == 0
    assert fetcher.closed


def test_what_was_looked_at_brings_its_thumbnail_along() -> None:
    store = _Store(expected=3)
    answers = {"bad": b"broken", "good": b"fine", "the same": b"fine"}
    _run(_published(*answers), store, _Fetcher(lambda ref, _: answers[ref]), thumbnail_side=1)
    bad, *good = (store.saved[index] for index in range(3))
    assert bad.thumbnail is None
    brought = {result.reused: result.thumbnail for result in good}
    assert brought[True] is None
    assert (brought[False] or b"").startswith(b"\xff\xd8")


def test_without_a_size_there_are_no_thumbnails() -> None:
    store = _Store()
    _run(_published("a"), store, _Fetcher(lambda *_: b"fine"), thumbnail_side=0)
    assert store.saved[0].thumbnail is None


def test_a_bad_picture_costs_only_itself() -> None:
    broker, store = _published("good", "bad", "good2"), _Store(expected=3)
    _run(broker, store, _Fetcher(lambda ref, _: b"broken" if ref == "bad" else b"fine"))
    assert [store.saved[i].state for i in range(3)] == ["succeeded", "failed", "succeeded"]
    failed = store.saved[1]
    assert (failed.code, failed.detail, failed.evidence.bytes) == (Code.IMAGE_CORRUPT, "by a test", 6)
    assert _unacked(broker) == 0


def _raising(code: Code, times: int) -> Callable[[str, int], bytes]:
    def answer(_ref: str, call: int) -> bytes:
        if call <= times:
            raise ItemError(code, "by a test", 503)
        return b"fine"

    return answer


def test_a_failure_is_noted_with_its_next_attempt_and_its_last() -> None:
    store, broker = _Store(), _published("a")
    _run(broker, store, _Fetcher(_raising(Code.HTTP_5XX, times=2)), retry_delays=(0.01, 0.02, 0.03))
    (first, soon, latest), (second, later, last) = store.noted
    assert [(one.code, one.attempts) for one in (first, second)] == [(Code.HTTP_5XX, 1), (Code.HTTP_5XX, 2)]
    assert (soon, later) == (0.01, 0.02)
    assert (latest, last) == (pytest.approx(0.06 + 3 * 20), pytest.approx(0.05 + 2 * 20))
    assert store.saved[0].attempts == 3


def test_an_item_that_was_given_up_meanwhile_is_not_fetched_again() -> None:
    store, broker = _Store(), InProcessBroker()
    store.given_up = {0}
    broker.publish([Message(1, 0, "given up", attempt=2), Message(1, 1, "waited for", attempt=2)])
    fetcher = _Fetcher(lambda *_: b"picture")
    _run(broker, store, fetcher)
    wait_until(lambda: not _unacked(broker), _PATIENCE, "all acks")
    assert fetcher.calls == ["waited for"]


def test_of_a_host_that_was_given_up_nothing_is_tried_again() -> None:
    store, error = cast(Store, _Store()), ItemError(Code.HTTP_5XX)
    nothing = cast(Any, None)
    retries = RetryScheduler(nothing, nothing, nothing, store, nothing, nothing, (1.0, 2.0), 20.0)
    task = FetchTask(Delivery(Message(1, 0, "http://a/"), 1), "http://a/")
    for is_given_up in (False, True):
        slot = cast(HostSlot, SimpleNamespace(is_given_up=is_given_up))
        assert retries.may_retry(task, slot, error) is not is_given_up


def test_a_transient_failure_is_tried_again() -> None:
    broker, store = _published("a"), _Store()
    _run(broker, store, _Fetcher(_raising(Code.HTTP_5XX, times=2)), retry_delays=(0.01, 0.01))
    assert (store.saved[0].state, store.saved[0].attempts) == (ItemState.SUCCEEDED, 3)
    assert _unacked(broker) == 0


def test_the_last_attempt_is_final() -> None:
    broker, store = _published("a"), _Store()
    fetcher = _Fetcher(_raising(Code.HTTP_5XX, times=99))
    _run(broker, store, fetcher, retry_delays=(0.01, 0.01))
    result = store.saved[0]
    assert (result.state, result.code, result.attempts) == (ItemState.FAILED, Code.HTTP_5XX, 3)
    assert result.evidence.http_status == 503
    assert len(fetcher.calls) == 3


def test_a_lack_of_memory_is_tried_again() -> None:
    broker, store = _published("a"), _Store()
    fetcher = _Fetcher(lambda _ref, call: b"huge" if call == 1 else b"fine")
    _run(broker, store, fetcher, retry_delays=(0.01,))
    assert (store.saved[0].state, store.saved[0].attempts) == (ItemState.SUCCEEDED, 2)


def test_a_permanent_failure_is_not_tried_again() -> None:
    broker, store = _published("a"), _Store()
    fetcher = _Fetcher(_raising(Code.HTTP_404, times=99))
    _run(broker, store, fetcher, retry_delays=(0.01,))
    assert (store.saved[0].code, len(fetcher.calls)) == (Code.HTTP_404, 1)


def test_a_defect_of_ours_costs_one_item_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    broker, store = _published("defect", "fine"), _Store(expected=2)
    _run(broker, store, _Fetcher(lambda ref, _: ref.encode()))
    assert store.saved[0].code is Code.INTERNAL_ERROR
    assert store.saved[1].state is ItemState.SUCCEEDED
    assert "ZeroDivisionError" in caplog.text


def test_nothing_is_acked_when_the_store_fails() -> None:
    broker = _published("a", "b")
    store = _Store(error=ResourceError(Code.DATABASE_UNAVAILABLE, "by a test"))
    fetcher = _Fetcher(lambda *_: b"fine")
    with pytest.raises(ResourceError) as caught:
        _run(broker, store, fetcher)
    assert caught.value.code is Code.DATABASE_UNAVAILABLE
    assert _unacked(broker) == 2
    assert fetcher.closed


def test_more_than_fits_in_hand_is_labelled_all_the_same() -> None:
    broker, store = _published(*map(str, range(700))), _Store(expected=700)
    _run(broker, store, _Fetcher(lambda *_: b"fine"))
    assert len(store.saved) == 700
    assert _unacked(broker) == 0


def test_when_stopped_what_is_in_hand_is_stored_and_nothing_else_is_kept() -> None:
    broker, store = _published(*map(str, range(100))), _Store(expected=1)
    _run(broker, store, _Fetcher(lambda *_: b"fine"))
    assert _unacked(broker) == 0, "a delivery was neither acked nor handed back"
    assert len(store.saved) + (broker.depth() or 0) == 100


@pytest.mark.parametrize(
    ("name", "code"),
    [
        *(
            ("missing", Code.FILE_NOT_FOUND),
            ("file/inside", Code.FILE_NOT_FOUND),
            (".", Code.FILE_UNREADABLE),
        ),
        *(("missing:1.jpg", Code.FILE_NOT_FOUND), ("//host/a.jpg", Code.URL_NOT_ALLOWED)),
        *(
            ("data:image/png;base64,AAAA", Code.URL_NOT_ALLOWED),
            ("data:," + "x" * 3000, Code.URL_NOT_ALLOWED),
        ),
        *(("http:/host/a.jpg", Code.URL_NOT_ALLOWED), ("ftp://host/a.jpg", Code.URL_NOT_ALLOWED)),
    ],
)
def test_files_that_cannot_be_read(name: str, code: Code) -> None:
    Path("file").touch()
    with pytest.raises(ItemError) as caught:
        FileFetcher(100).read(Path(name))
    assert caught.value.code is code


def test_a_file_may_be_named_like_a_url() -> None:
    Path("data:a.jpg").write_bytes(b"x")
    for path in (Path("data:a.jpg"), Path(f"/{Path('data:a.jpg').absolute()}")):
        assert FileFetcher(100).read(path) == b"x"


def test_a_file_over_the_limit_is_not_read() -> None:
    Path("big").write_bytes(b"x" * 101)
    with pytest.raises(ItemError) as caught:
        FileFetcher(100).read(Path("big"))
    assert caught.value.code is Code.TOO_MANY_BYTES
    assert FileFetcher(101).read(Path("big")) == b"x" * 101


def test_a_device_does_not_block() -> None:
    with pytest.raises(ItemError) as caught:
        FileFetcher(100).read(Path("/dev/zero"))
    assert caught.value.code is Code.FILE_UNREADABLE


def test_what_takes_too_long_when_stopped_is_handed_back() -> None:
    broker, store = _published("quick", "slow"), _Store(expected=1)

    class Slow(_Fetcher):
        async def fetch(self, request: FetchRequest) -> Fetched:
            if request.ref == "slow":
                await asyncio.sleep(1000)
            return await super().fetch(request)

    _run(broker, store, Slow(lambda *_: b"fine"), grace=0.01)
    assert _unacked(broker) == 0
    assert [(message.ref, earlier) for message, earlier in broker._ready] == [("slow", 1)]


def test_the_same_bytes_are_classified_once() -> None:
    broker, store, classifier = _published(*"abcdefgh"), _Store(expected=8), _Classifier()
    _run(broker, store, _Fetcher(lambda *_: b"same"), classifier=classifier)
    assert classifier.calls == 1
    assert sorted(result.reused for result in store.saved.values()) == [False] + [True] * 7
    assert {result.class_ids for result in store.saved.values()} == {(4, 4)}


def test_what_the_store_knows_of_the_bytes_is_taken() -> None:
    first, classifier = _Store(), _Classifier()
    _run(_published("a"), first, _Fetcher(lambda *_: b"same"))
    known = first.saved[0]
    store = _Store()
    store.known = {str(known.evidence.sha256): replace(known, class_ids=(7, 8, 9), scores=(0.5, 0.3, 0.1))}
    _run(_published("b"), store, _Fetcher(lambda *_: b"same"), classifier=classifier)
    result = store.saved[0]
    assert (result.class_ids, result.scores, result.reused) == ((7, 8), (0.5, 0.3), True)
    assert (result.evidence.width, classifier.calls) == (640, 0)


def test_too_few_known_labels_are_not_enough() -> None:
    first, classifier = _Store(), _Classifier()
    _run(_published("a"), first, _Fetcher(lambda *_: b"same"))
    known = first.saved[0]
    store = _Store()
    store.known = {str(known.evidence.sha256): replace(known, class_ids=(7,), scores=(0.5,))}
    _run(_published("b"), store, _Fetcher(lambda *_: b"same"), classifier=classifier)
    assert (classifier.calls, store.saved[0].reused) == (1, False)


def test_same_bytes_that_cannot_be_decoded_fail_each_with_its_reason() -> None:
    broker, store = _published(*"abcdef"), _Store(expected=6)
    _run(broker, store, _Fetcher(lambda *_: b"broken"))
    assert {result.code for result in store.saved.values()} == {Code.IMAGE_CORRUPT}


@pytest.mark.parametrize("state", [JobState.PAUSED, JobState.CANCELLED, JobState.COMPLETED])
def test_items_of_a_job_that_does_not_run_are_dropped(state: JobState) -> None:
    broker, store = _published("a", "b"), _Store(expected=0)
    store.job_state = state
    fetcher = _Fetcher(lambda *_: b"fine")
    with ThreadPoolExecutor(1) as thread:
        thread.submit(wait_until, lambda: not broker.depth() and not _unacked(broker), _PATIENCE, "acks")
        store.full = threading.Event()
        thread.submit(store.full.set)
        _run(broker, store, fetcher)
    assert (store.saved, fetcher.calls, _unacked(broker)) == ({}, [], 0)


def test_an_item_that_came_back_is_tried_and_cleared() -> None:
    broker, store = _published("a"), _Store()
    broker.release(broker.receive(1, 0)[0])
    _run(broker, store, _Fetcher(lambda *_: b"fine"))
    assert (store.saved[0].state, store.trials[0]) == (ItemState.SUCCEEDED, 0)


def test_an_item_that_killed_its_workers_is_not_tried_again() -> None:
    broker, store, classifier = _published("a", "b"), _Store(expected=2), _Classifier()
    broker.release(broker.receive(1, 0)[0])
    store.trials[0] = 2
    _run(broker, store, _Fetcher(lambda *_: b"fine"), classifier=classifier)
    assert (store.saved[0].state, store.saved[0].code) == (ItemState.FAILED, Code.WORKER_CRASHED)
    assert store.saved[1].state is ItemState.SUCCEEDED


def test_a_host_that_asks_for_time_gets_it() -> None:
    broker, store = _published("a"), _Store()

    def answer(_ref: str, call: int) -> bytes:
        if call == 1:
            raise ItemError(Code.RATE_LIMITED, "by a test", 429, retry_after=0.2)
        return b"fine"

    _run(broker, store, _Fetcher(answer), retry_delays=(0.01, 0.3, 60))
    assert store.saved[0].attempts == 2


def test_a_denied_url_is_not_asked_for() -> None:
    broker, store = _published("http://h/a", "http://h/b"), _Store(expected=2)
    store.denied = {"http://h/a"}
    fetcher = _Fetcher(lambda *_: b"fine")
    _run(broker, store, fetcher)
    assert fetcher.calls == ["http://h/b"]
    left_out = store.saved[0]
    assert (left_out.state, left_out.code, left_out.evidence.host) == (ItemState.SKIPPED, Code.FORGOTTEN, "h")
    assert _unacked(broker) == 0


def test_a_redirect_to_a_denied_url_is_not_followed() -> None:
    broker, store = _published("http://h/a"), _Store()
    store.denied = {"http://h/final"}

    class Redirecting(_Fetcher):
        async def fetch(self, request: FetchRequest) -> Redirected:  # type: ignore[override]
            self.calls.append(request.ref)
            return Redirected("http://h/final")

    fetcher = Redirecting(lambda *_: b"fine")
    _run(broker, store, fetcher)
    assert (store.saved[0].code, fetcher.calls) == (Code.FORGOTTEN, ["http://h/a"])


def test_a_result_says_how_many_redirects_led_to_it() -> None:
    broker, store = _published("http://h/0", "http://h/2", "file"), _Store(expected=3)

    class Redirecting(_Fetcher):
        async def fetch(self, request: FetchRequest) -> Fetched | Redirected:  # type: ignore[override]
            way = {"http://h/0": "http://h/1", "http://h/1": "http://h/2"}
            if request.ref in way:
                return Redirected(way[request.ref])
            return await super().fetch(request)

    _run(broker, store, Redirecting(lambda *_: b"fine"))
    assert [store.saved[index].evidence.redirects for index in range(3)] == [2, 0, None]


def test_an_item_of_a_job_that_another_process_runs_for_itself_is_dropped() -> None:
    async def running(only_job: int | None, local: bool) -> int | None:
        store = _Store()
        store.job_local = local
        with ThreadPoolExecutor(1) as thread:
            retry = StoreRetry(thread, threading.Event(), False)
            return await JobCache(cast(Store, store), retry, only_job).running_model(7)

    assert asyncio.run(running(None, local=False)) == 3
    assert asyncio.run(running(7, local=True)) == 3
    assert asyncio.run(running(None, local=True)) is None
    assert asyncio.run(running(8, local=True)) is None


def test_what_was_not_stored_as_its_labels_are_gone_is_labelled_again() -> None:
    broker, store, classifier = _published("a", "b"), _Store(expected=2), _Classifier()
    store.unfounded = {(1, 1)}
    fetcher = _Fetcher(lambda *_: b"fine")
    _run(broker, store, fetcher, classifier=classifier)
    assert (fetcher.calls.count("b"), classifier.calls) == (2, 2)
    assert (store.saved[1].reused, _unacked(broker)) == (False, 0)


def test_denied_bytes_are_not_classified_wherever_they_come_from() -> None:
    broker, store, classifier = _published("http://h/a", "file", "other"), _Store(expected=3), _Classifier()
    store.denied = {hashlib.sha256(b"denied").hexdigest()}
    _run(
        broker,
        store,
        _Fetcher(lambda ref, _: b"fine" if ref == "other" else b"denied"),
        classifier=classifier,
    )
    assert [store.saved[index].code for index in range(3)] == [Code.FORGOTTEN, Code.FORGOTTEN, None]
    assert (store.saved[0].state, classifier.calls) == (ItemState.SKIPPED, 1)
