"""The worker between fakes: what becomes of a delivery."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from shared.broker import InProcessBroker
from shared.classifier.classifier import Classification, Classifier, Prediction
from shared.classifier.model import Label
from shared.errors import Code, ItemError, ResourceError
from shared.images import Picture
from shared.items import ItemState, Message, Result
from worker.fetch import Fetched, FileFetcher
from worker.worker import Plan, Worker

_PATIENCE = 10.0


class _Store:
    """Keeps results, and tells when so many are there."""

    def __init__(self, expected: int = 1, error: ResourceError | None = None) -> None:
        self.results: dict[int, Result] = {}
        self.full = threading.Event()
        self._expected = expected
        self._error = error

    def save(self, new: Iterable[Result]) -> None:
        if self._error:
            raise self._error
        for result in new:
            self.results.setdefault(result.index, result)
        if len(self.results) >= self._expected:
            self.full.set()


class _Fetcher:
    """Answers each reference with what the test laid down, and counts."""

    def __init__(self, answer: Callable[[str, int], bytes]) -> None:
        self._answer = answer
        self.calls: list[str] = []
        self.closed = False

    async def fetch(self, ref: str) -> Fetched:
        self.calls.append(ref)
        content = self._answer(ref, self.calls.count(ref))
        return Fetched(lambda: content, f"http://final/{ref}", 200)

    async def close(self) -> None:
        self.closed = True


class _Classifier:
    """Names the class after the bytes; refuses those that say so."""

    def classify(self, data: bytes, top: int) -> Classification:
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
    broker: InProcessBroker, store: _Store, fetcher: _Fetcher, retry_delays: tuple[float, ...] = ()
) -> None:
    """Run a worker until the store is full."""
    with ThreadPoolExecutor(2) as cpu, ThreadPoolExecutor(1) as thread:
        plan = Plan(model_id=3, top=2, concurrency=4, retry_delays=retry_delays)
        worker = Worker(broker, broker, store, fetcher, cast(Classifier, _Classifier()), cpu, plan)
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
    result = store.results[0]
    assert (result.job_id, result.state, result.model_id, result.attempts) == (1, ItemState.SUCCEEDED, 3, 1)
    assert (result.class_ids, result.scores) == ((14, 14), (0.123457, 0.123457))
    evidence = result.evidence
    assert (evidence.width, evidence.height, evidence.format, evidence.bytes) == (640, 480, "JPEG", 14)
    assert evidence.sha256 is not None
    assert len(evidence.sha256) == 64
    assert (evidence.final_url, evidence.http_status) == ("http://final/a.jpg", 200)
    assert _unacked(broker) == 0
    assert fetcher.closed


def test_a_bad_picture_costs_only_itself() -> None:
    broker, store = _published("good", "bad", "good2"), _Store(expected=3)
    _run(broker, store, _Fetcher(lambda ref, _: b"broken" if ref == "bad" else b"fine"))
    assert [store.results[i].state for i in range(3)] == ["succeeded", "failed", "succeeded"]
    failed = store.results[1]
    assert (failed.code, failed.detail, failed.evidence.bytes) == (Code.IMAGE_CORRUPT, "by a test", 6)
    assert _unacked(broker) == 0


def _raising(code: Code, times: int) -> Callable[[str, int], bytes]:
    def answer(_ref: str, call: int) -> bytes:
        if call <= times:
            raise ItemError(code, "by a test", 503)
        return b"fine"

    return answer


def test_a_transient_failure_is_tried_again() -> None:
    broker, store = _published("a"), _Store()
    _run(broker, store, _Fetcher(_raising(Code.HTTP_5XX, times=2)), retry_delays=(0.01, 0.01))
    assert (store.results[0].state, store.results[0].attempts) == (ItemState.SUCCEEDED, 3)
    assert _unacked(broker) == 0


def test_the_last_attempt_is_final() -> None:
    broker, store = _published("a"), _Store()
    fetcher = _Fetcher(_raising(Code.HTTP_5XX, times=99))
    _run(broker, store, fetcher, retry_delays=(0.01, 0.01))
    result = store.results[0]
    assert (result.state, result.code, result.attempts) == (ItemState.FAILED, Code.HTTP_5XX, 3)
    assert result.evidence.http_status == 503
    assert len(fetcher.calls) == 3


def test_a_lack_of_memory_is_tried_again() -> None:
    broker, store = _published("a"), _Store()
    fetcher = _Fetcher(lambda _ref, call: b"huge" if call == 1 else b"fine")
    _run(broker, store, fetcher, retry_delays=(0.01,))
    assert (store.results[0].state, store.results[0].attempts) == (ItemState.SUCCEEDED, 2)


def test_a_permanent_failure_is_not_tried_again() -> None:
    broker, store = _published("a"), _Store()
    fetcher = _Fetcher(_raising(Code.HTTP_404, times=99))
    _run(broker, store, fetcher, retry_delays=(0.01,))
    assert (store.results[0].code, len(fetcher.calls)) == (Code.HTTP_404, 1)


def test_a_defect_of_ours_costs_one_item_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    broker, store = _published("defect", "fine"), _Store(expected=2)
    _run(broker, store, _Fetcher(lambda ref, _: ref.encode()))
    assert store.results[0].code is Code.INTERNAL_ERROR
    assert store.results[1].state is ItemState.SUCCEEDED
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
    assert len(store.results) == 700
    assert _unacked(broker) == 0


def test_when_stopped_what_is_in_hand_is_stored_and_nothing_else_is_kept() -> None:
    broker, store = _published(*map(str, range(100))), _Store(expected=1)
    _run(broker, store, _Fetcher(lambda *_: b"fine"))
    assert _unacked(broker) == 0, "a delivery was neither acked nor handed back"
    assert len(store.results) + len(broker.receive(1000, 0)) == 100


@pytest.mark.parametrize(
    ("name", "code"),
    [("missing", Code.FILE_NOT_FOUND), ("file/inside", Code.FILE_NOT_FOUND), (".", Code.FILE_UNREADABLE)],
)
def test_files_that_cannot_be_read(name: str, code: Code) -> None:
    Path("file").touch()
    with pytest.raises(ItemError) as caught:
        FileFetcher(100).read(Path(name))
    assert caught.value.code is code


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


def test_what_takes_too_long_when_stopped_is_handed_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.worker._GRACE", 0.01)
    broker, store = _published("quick", "slow"), _Store(expected=1)

    class Slow(_Fetcher):
        async def fetch(self, ref: str) -> Fetched:
            if ref == "slow":
                await asyncio.sleep(1000)
            return await super().fetch(ref)

    _run(broker, store, Slow(lambda *_: b"fine"))
    assert _unacked(broker) == 0
    (delivery,) = broker.receive(10, 0)
    assert (delivery.message.ref, delivery.earlier) == ("slow", 1)
