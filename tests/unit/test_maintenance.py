"""Tending between a real store on SQLite and a queue in memory."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import delete

from producer.dispatch import Dispatcher
from producer.maintenance import JobMaintenance
from shared.broker import InProcessBroker
from shared.errors import Code
from shared.items import Item, ItemState, JobState, Result, now
from shared.store.database import Database
from shared.store.schema import results
from shared.store.store import Job, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Database(f"sqlite:///{tmp_path / 'test.db'}")) as database:
        yield Store(database)


def _job(store: Store, count: int, key: str = "key", max_failure_rate: float | None = None) -> Job:
    model = store.models.record("lite0", "1", [])
    job = store.jobs.open(key, model.id, max_failure_rate=max_failure_rate)
    store.items.add([Item(job.id, index, f"{key}{index}") for index in range(count)])
    store.jobs.mark_recorded(job.id)
    return store.jobs.get(job.id)


def _result(job: Job, index: int, code: Code | None = None) -> Result:
    state = ItemState.FAILED if code else ItemState.SUCCEEDED
    return Result(job.id, index, state, now(), 1, job.model_id, code=code)


def _look(store: Store, maintenance: JobMaintenance, times: int = 1) -> None:
    for _ in range(times):
        maintenance.maintain(store.jobs.active())


def _publish_all(store: Store, broker: InProcessBroker, queue_length: int = 10_000) -> Dispatcher:
    dispatcher = Dispatcher(store, broker, queue_length)
    while dispatcher.publish(store.jobs.active()):
        pass
    return dispatcher


def test_jobs_are_published_by_turns_as_far_as_there_is_room(store: Store) -> None:
    jobs = [_job(store, 30, key) for key in ("a", "b")]
    broker = InProcessBroker()
    dispatcher = _publish_all(store, broker, queue_length=20)
    received = broker.receive(100, 0)
    assert [delivery.message.job_id for delivery in received].count(jobs[0].id) == 10
    assert len(received) == 20
    while dispatcher.publish(store.jobs.active()):
        received += broker.receive(100, 0)
    keys = [(delivery.message.job_id, delivery.message.index) for delivery in received]
    assert sorted(keys) == [(job.id, index) for job in jobs for index in range(30)]


def test_a_job_has_one_dispatcher_at_a_time(store: Store) -> None:
    _job(store, 30)
    broker = InProcessBroker()
    first = _publish_all(store, broker, queue_length=10)
    other = Dispatcher(store, broker, 1000)
    assert other.publish(store.jobs.active()) == 0
    first.close()
    assert other.publish(store.jobs.active()) == 20


def test_a_job_whose_items_are_all_done_is_completed(store: Store) -> None:
    job, maintenance = _job(store, 2), JobMaintenance(store, InProcessBroker(), 60, 5)
    store.results.save([_result(job, 0)])
    _look(store, maintenance)
    assert store.jobs.get(job.id).state is JobState.RUNNING
    store.results.save([_result(job, 1, Code.HTTP_404)])
    _look(store, maintenance)
    assert store.jobs.get(job.id).state is JobState.COMPLETED


def test_a_cancelled_job_is_brought_to_its_end(store: Store) -> None:
    job, maintenance = _job(store, 5), JobMaintenance(store, InProcessBroker(), 60, 5)
    store.results.save([_result(job, 0)])
    store.jobs.cancel(job.id)
    _look(store, maintenance)
    assert store.jobs.get(job.id).state is JobState.CANCELLED


@pytest.mark.parametrize(("failures", "state"), [(20, JobState.RUNNING), (21, JobState.PAUSED)])
def test_a_job_over_its_failure_budget_pauses_and_says_why(
    store: Store, failures: int, state: JobState
) -> None:
    job, maintenance = _job(store, 100, max_failure_rate=0.2), JobMaintenance(store, InProcessBroker(), 60, 5)
    codes = [Code.HTTP_403] * failures + [None] * (50 - failures)
    store.results.save([_result(job, index, code) for index, code in enumerate(codes)])
    _look(store, maintenance)
    assert store.jobs.get(job.id).state is state
    if state is JobState.PAUSED:
        expected = "21 of 50 images failed, at most 20% of all 100 may; 21 of them with http_403"
        assert store.jobs.get(job.id).reason == expected


def test_few_outcomes_do_not_decide(store: Store) -> None:
    job, maintenance = _job(store, 100, max_failure_rate=0.2), JobMaintenance(store, InProcessBroker(), 60, 5)
    store.results.save([_result(job, index, Code.HTTP_403) for index in range(49)])
    _look(store, maintenance)
    assert store.jobs.get(job.id).state is JobState.RUNNING


def test_what_was_lost_is_published_again_but_not_at_once(store: Store) -> None:
    job, broker = _job(store, 3), InProcessBroker()
    maintenance = JobMaintenance(store, broker, sweep_after=0.2, placeholder_urls=5)
    _publish_all(store, broker).close()
    lost = broker.receive(10, 0)
    store.results.save([_result(job, 0)])
    _look(store, maintenance, times=2)
    assert store.jobs.get(job.id).published == 3, "published again before its time"
    time.sleep(0.25)
    _look(store, maintenance)
    assert store.jobs.get(job.id).published == 0
    _publish_all(store, broker)
    assert [delivery.message.index for delivery in broker.receive(10, 0)] == [1, 2]
    assert len(lost) == 3


def test_what_the_broker_still_holds_is_given_longer(store: Store) -> None:
    job, broker = _job(store, 3), InProcessBroker()
    maintenance = JobMaintenance(store, broker, sweep_after=0.1, placeholder_urls=5)
    _publish_all(store, broker)
    _look(store, maintenance)
    time.sleep(0.15)
    _look(store, maintenance)
    assert store.jobs.get(job.id).published == 3
    time.sleep(0.3)
    _look(store, maintenance)
    assert store.jobs.get(job.id).published == 0


def test_duplicates_that_missed_their_result_do_not_hold_a_job_up(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producer.maintenance._BACKFILL_AFTER", 0.0)
    job, broker = _job(store, 1), InProcessBroker()
    other = store.jobs.open("twins", job.model_id)
    store.items.add([Item(other.id, 0, "a"), Item(other.id, 1, "a")])
    store.jobs.mark_recorded(other.id)
    store.results.save([_result(other, 0)])
    with store.jobs._database.write() as connection:
        connection.execute(delete(results).where(results.c.job_id == other.id, results.c.index == 1))
    _publish_all(store, broker)
    _look(store, JobMaintenance(store, broker, 60, 5), times=3)
    assert store.jobs.get(other.id).state is JobState.COMPLETED


def test_a_job_is_not_completed_before_all_duplicates_have_results(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producer.maintenance._BACKFILL_AFTER", 0.0)
    monkeypatch.setattr("shared.store.items.AT_ONCE", 3)
    model, broker = store.models.record("lite0", "1", []), InProcessBroker()
    job = store.jobs.open("same", model.id)
    store.items.add([Item(job.id, index, "a") for index in range(20)])
    store.jobs.mark_recorded(job.id)
    _publish_all(store, broker)
    assert len(broker.receive(100, 0)) == 1
    store.results.save([_result(job, 0)])
    maintenance = JobMaintenance(store, broker, 60, 5)
    for _ in range(5):
        _look(store, maintenance)
        done = sum(tally.count for tally in store.results.tallies(job.id))
        assert store.jobs.get(job.id).state is JobState.RUNNING or done == 20
    assert store.jobs.get(job.id).state is JobState.COMPLETED
