"""What every store must do; each database runs this same suite."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.errors import Code
from shared.items import Evidence, Item, ItemState, JobState, Result
from shared.store.database import Database
from shared.store.store import Job, RecordedModel, Store, Tally

_LABELS = [("n1", "cat"), ("n2", "dog")]
_EVIDENCE = Evidence(
    width=640,
    height=480,
    format="JPEG",
    bytes=12345,
    sha256="ab" * 32,
    final_url="http://host/a.jpg",
    http_status=200,
    fetch_ms=1.5,
    label_ms=2.5,
)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    made: str = request.getfixturevalue("new_postgres_database")()
    return made


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database)


@pytest.fixture
def model(store: Store) -> RecordedModel:
    return store.record_model("lite0", "1", _LABELS)


@pytest.fixture
def job(store: Store, model: RecordedModel) -> Job:
    return store.open_job("key", model.id)


def _items(job: Job, start: int, stop: int) -> list[Item]:
    return [Item(job.id, index, f"{index}.jpg", f"id-{index}") for index in range(start, stop)]


def _succeeded(job: Job, index: int) -> Result:
    return Result(
        job_id=job.id,
        index=index,
        state=ItemState.SUCCEEDED,
        finished_at=datetime.now(UTC),
        attempts=1,
        model_id=job.model_id,
        class_ids=(1, 0),
        scores=(0.951062, 0.014992),
        evidence=_EVIDENCE,
    )


def _failed(job: Job, index: int, code: Code = Code.EMPTY_FILE) -> Result:
    return replace(
        _succeeded(job, index),
        state=ItemState.FAILED,
        code=code,
        detail="why",
        class_ids=(),
        scores=(),
        evidence=Evidence(),
    )


def _count(tallies: list[Tally]) -> dict[tuple[str, str | None], int]:
    return {(tally.state, tally.code): tally.count for tally in tallies}


def test_a_model_is_recorded_once(store: Store, model: RecordedModel) -> None:
    assert store.record_model("lite0", "1", _LABELS) == model
    assert [tuple(label) for label in model.labels] == _LABELS
    assert store.record_model("lite0", "2", _LABELS).id != model.id


def test_a_key_finds_its_job_until_it_is_released(store: Store, job: Job) -> None:
    assert (job.state, job.submitted) == (JobState.SUBMITTING, 0)
    assert store.open_job("key", job.model_id) == job
    store.release_key(job.id)
    assert store.open_job("key", job.model_id).id != job.id


def test_a_job_counts_its_items_and_is_sealed_and_completed(store: Store, job: Job) -> None:
    store.add_items(_items(job, 0, 3))
    store.add_items(_items(job, 3, 5))
    assert store.job(job.id).submitted == 5
    store.complete(job.id)
    assert store.job(job.id).state is JobState.SUBMITTING, "completed before it was sealed"
    store.seal(job.id)
    assert store.job(job.id).state is JobState.RUNNING
    store.complete(job.id)
    assert store.job(job.id).state is JobState.COMPLETED
    store.seal(job.id)
    assert store.job(job.id).state is JobState.COMPLETED, "opened again"


def test_items_recorded_twice_are_there_once(store: Store, job: Job) -> None:
    store.add_items(_items(job, 0, 5))
    store.add_items(_items(job, 0, 3))
    assert store.job(job.id).submitted == 5
    assert store.pending(job.id, -1, 100) == _items(job, 0, 5)


def test_pending_items_come_in_pages_without_those_that_are_done(store: Store, job: Job) -> None:
    store.add_items(_items(job, 0, 10))
    store.save([_succeeded(job, 1), _failed(job, 2)])
    first = store.pending(job.id, after=-1, limit=3)
    assert first == [_items(job, 0, 10)[i] for i in (0, 3, 4)]
    assert [item.index for item in store.pending(job.id, after=4, limit=100)] == [5, 6, 7, 8, 9]


def test_a_result_is_read_back_as_it_was_saved(store: Store, job: Job) -> None:
    store.add_items(_items(job, 0, 2))
    saved = [_succeeded(job, 0), _failed(job, 1)]
    store.save(saved)
    outcomes = store.outcomes(job.id, after=-1, limit=10)
    assert [outcome.item for outcome in outcomes] == _items(job, 0, 2)
    for outcome, result in zip(outcomes, saved, strict=True):
        assert replace(outcome.result, finished_at=result.finished_at) == result


def test_outcomes_come_in_pages_by_index(store: Store, job: Job) -> None:
    store.add_items(_items(job, 0, 6))
    store.save([_succeeded(job, index) for index in (5, 3, 1, 0)])
    indexes = [outcome.item.index for outcome in store.outcomes(job.id, after=0, limit=2)]
    assert indexes == [1, 3]


def test_a_second_result_changes_neither_the_first_nor_the_counts(store: Store, job: Job) -> None:
    store.add_items(_items(job, 0, 2))
    store.save([_succeeded(job, 0)])
    store.save([_failed(job, 0), _succeeded(job, 1), _succeeded(job, 1)])
    states = [outcome.result.state for outcome in store.outcomes(job.id, -1, 10)]
    assert states == [ItemState.SUCCEEDED, ItemState.SUCCEEDED]
    assert _count(store.tallies(job.id)) == {("succeeded", None): 2}


def test_folding_changes_no_count(store: Store, job: Job) -> None:
    store.add_items(_items(job, 0, 6))
    for index in range(5):
        store.save([_succeeded(job, index)])
    store.save([_failed(job, 5)])
    before = _count(store.tallies(job.id))
    store.fold(job.id)
    store.fold(job.id)
    assert _count(store.tallies(job.id)) == before == {("succeeded", None): 5, ("failed", "empty_file"): 1}


def test_jobs_do_not_mix(store: Store, job: Job) -> None:
    other = store.open_job("other", job.model_id)
    store.add_items(_items(job, 0, 1))
    store.add_items(_items(other, 0, 1))
    store.save([_succeeded(other, 0)])
    assert store.tallies(job.id) == []
    assert [item.job_id for item in store.pending(job.id, -1, 10)] == [job.id]


def test_writers_in_several_threads_lose_nothing(store: Store, job: Job) -> None:
    store.add_items(_items(job, 0, 400))

    def save(start: int) -> None:
        for index in range(start, start + 100, 10):
            store.save([_succeeded(job, i) for i in range(index, index + 10)])
            store.fold(job.id)

    threads = [threading.Thread(target=save, args=(start,)) for start in (0, 50, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _count(store.tallies(job.id)) == {("succeeded", None): 350}


def test_several_processes_may_open_a_new_database_at_once(url: str) -> None:
    failures: list[BaseException] = []
    barrier = threading.Barrier(4)

    def open_it() -> None:
        barrier.wait()
        try:
            Database(url).close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
