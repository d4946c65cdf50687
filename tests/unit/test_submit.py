import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from producer.dispatch import publish_all
from producer.references import Entry, MalformedEntry, Reference
from producer.submit import record, survey
from shared.broker import InProcessBroker
from shared.errors import Code, ResourceError
from shared.items import ItemState, JobState, Result, now
from shared.store.database import Database
from shared.store.store import Job, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    yield Store(database)
    database.close()


@pytest.fixture
def job(store: Store) -> Job:
    return store.jobs.open("key", store.models.record("lite0", "1", []).id)


def _entries(count: int) -> list[Entry]:
    return [Reference(f"{index}.jpg", str(index)) for index in range(count)]


def _failed(job: Job, index: int) -> Result:
    return Result(job.id, index, ItemState.FAILED, now(), 1, job.model_id, code=Code.EMPTY_FILE)


def _record(store: Store, job: Job, entries: list[Entry], stop: threading.Event | None = None) -> None:
    deque(record(store, job, entries, stop or threading.Event(), survey(entries).digest), maxlen=0)


def test_a_survey_counts_and_tells_lists_apart() -> None:
    found = survey([*_entries(2), MalformedEntry("l.txt", 3, "why")])
    assert (found.references, found.malformed) == (2, 1)
    assert found.digest == survey(_entries(2)).digest
    assert found.digest != survey(_entries(3)).digest
    assert found.digest != survey([Reference("0.jpg", "1"), Reference("1.jpg", "0")]).digest


def test_items_are_recorded_in_order_and_the_job_is_sealed(store: Store, job: Job) -> None:
    _record(store, job, [*_entries(2), MalformedEntry("l.txt", 3, "why"), Reference("last.jpg")])
    assert [(item.index, item.ref) for item in store.items.pending(job.id, 0, 10)] == [
        (0, "0.jpg"),
        (1, "1.jpg"),
        (2, "last.jpg"),
    ]
    assert store.jobs.get(job.id).state is JobState.RUNNING


def test_recorder_goes_on_where_it_was_interrupted(store: Store, job: Job) -> None:
    entries = _entries(2500)
    stop = threading.Event()

    def stopping() -> Iterator[Entry]:
        for entry in entries:
            if entry == entries[1500]:
                stop.set()
            yield entry

    deque(record(store, job, stopping(), stop), maxlen=0)
    assert (store.jobs.get(job.id).submitted, store.jobs.get(job.id).state) == (1000, JobState.SUBMITTING)
    _record(store, store.jobs.get(job.id), entries)
    assert [item.ref for item in store.items.pending(job.id, 0, 9999)] == [f"{i}.jpg" for i in range(2500)]
    assert store.jobs.get(job.id).state is JobState.RUNNING


def test_a_sealed_job_is_left_as_it_is(store: Store, job: Job) -> None:
    _record(store, job, _entries(3))
    _record(store, store.jobs.get(job.id), _entries(3))
    assert store.jobs.get(job.id).submitted == 3


@pytest.mark.parametrize("count", [2, 4])
def test_a_sealed_job_does_not_take_another_list(store: Store, job: Job, count: int) -> None:
    _record(store, job, _entries(3))
    with pytest.raises(ResourceError) as caught:
        _record(store, store.jobs.get(job.id), _entries(count))
    assert caught.value.code is Code.SOURCE_CHANGED
    assert store.jobs.get(job.id).submitted == 3


def test_a_half_recorded_job_does_not_go_on_with_another_list(store: Store, job: Job) -> None:
    next(steps := record(store, job, _entries(1500), threading.Event()))
    next(steps)
    others = [Reference(f"other{index}.jpg") for index in range(1500)]
    with pytest.raises(ResourceError) as caught:
        _record(store, store.jobs.get(job.id), others)
    assert caught.value.code is Code.SOURCE_CHANGED
    assert store.jobs.get(job.id).submitted == 1000


def test_a_list_that_shrank_meanwhile_is_noticed(store: Store, job: Job) -> None:
    with pytest.raises(ResourceError) as caught:
        deque(record(store, job, _entries(2), threading.Event(), survey(_entries(3)).digest), maxlen=0)
    assert caught.value.code is Code.SOURCE_CHANGED
    assert store.jobs.get(job.id).state is JobState.SUBMITTING


def test_a_list_that_changed_but_not_in_length_is_noticed(store: Store, job: Job) -> None:
    changed = [*_entries(2), Reference("other.jpg")]
    with pytest.raises(ResourceError) as caught:
        deque(record(store, job, changed, threading.Event(), survey(_entries(3)).digest), maxlen=0)
    assert caught.value.code is Code.SOURCE_CHANGED


def test_only_items_without_a_result_are_published(store: Store, job: Job) -> None:
    _record(store, job, _entries(4))
    store.results.save([_failed(job, 1)])
    broker = InProcessBroker()
    publish_all(store, broker, job.id, threading.Event())
    deliveries = broker.receive(10, 0)
    assert [(delivery.message.index, delivery.message.ref) for delivery in deliveries] == [
        (0, "0.jpg"),
        (2, "2.jpg"),
        (3, "3.jpg"),
    ]


def test_publishing_keeps_up_with_recording(store: Store, job: Job) -> None:
    broker = InProcessBroker(capacity=10_000)
    publisher = threading.Thread(target=publish_all, args=(store, broker, job.id, threading.Event()))
    publisher.start()
    _record(store, job, _entries(2500))
    publisher.join(10)
    assert not publisher.is_alive()
    assert len(broker.receive(10_000, 0)) == 2500


def test_publishing_ends_when_the_broker_is_closed(store: Store, job: Job) -> None:
    _record(store, job, _entries(100))
    broker = InProcessBroker(capacity=1)
    publisher = threading.Thread(target=publish_all, args=(store, broker, job.id, threading.Event()))
    publisher.start()
    broker.close()
    publisher.join(10)
    assert not publisher.is_alive()
