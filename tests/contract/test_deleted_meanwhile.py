"""What a process remembers is checked against deletion in the transaction that stores a result."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import func, select

from shared import actions
from shared.broker import InProcessBroker
from shared.fetching.fetcher import Fetched, FetchRequest
from shared.items import Evidence, Item, ItemState, JobState, Message, Result, now
from shared.store.schema import progress, results
from shared.store.schema_api import malformed, thumbnails
from shared.store.store import Job, RecordedModel, Store
from tests.contract.colours import MODEL, Colours, colour_classifier
from tests.contract.races import PATIENCE, somebody_waits, stopped_after
from tests.servers.waiting import wait_until
from worker.delivery import Inference
from worker.worker import Backends, Fetchers, Worker, WorkerPlan

_CAT = "ca" * 32


@pytest.fixture
def other_job(store: Store, model: RecordedModel) -> Job:
    return store.jobs.open("other", model.id)


def _labelled(job: Job, index: int = 0, **options: Any) -> Result:
    labels = {"class_ids": (1, 0), "scores": (0.5, 0.25), "evidence": Evidence(sha256=_CAT, host="h")}
    return Result(job.id, index, ItemState.SUCCEEDED, now(), 1, job.model_id, **(labels | options))


def _record(store: Store, job: Job, count: int = 1) -> None:
    store.items.add([Item(job.id, index, f"http://h/{job.id}-{index}") for index in range(count)])
    store.jobs.mark_recorded(job.id)


def _rows(store: Store, table: Any) -> int:
    with store.jobs._database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _delete(store: Store, job: Job) -> None:
    store.jobs.complete(job.id)
    actions.delete(store, recorded := store.jobs.get(job.id))
    actions.remove_rest(store, recorded)


def test_labels_of_a_deleted_result_are_not_stored(store: Store, job: Job, other_job: Job) -> None:
    _record(store, job)
    _record(store, other_job, 2)
    assert store.results.save([_labelled(job, thumbnail=b"seen")]) == set()
    assert store.results.save([_labelled(other_job, 0, reused=True)]) == set()
    _delete(store, job)
    assert store.results.save([_labelled(other_job, 1, reused=True)]) == {(other_job.id, 1)}
    assert (_rows(store, results), _rows(store, thumbnails)) == (1, 1)
    assert sum(tally.count for tally in store.results.tallies(other_job.id)) == 1


def test_labels_may_come_from_a_result_of_the_same_batch(store: Store, job: Job) -> None:
    _record(store, job, 3)
    batch = [_labelled(job, 0, reused=True), _labelled(job, 1), _labelled(job, 2, reused=True)]
    assert store.results.save(batch) == set()
    assert _rows(store, results) == 3


@pytest.mark.parametrize("reused", [(False, True), (True, False)])
def test_an_item_that_was_delivered_twice_does_not_rest_on_itself(
    store: Store, job: Job, reused: tuple[bool, bool]
) -> None:
    _record(store, job)
    assert store.results.save([_labelled(job, 0, reused=one) for one in reused]) == set()
    (outcome,) = store.results.outcomes(job.id, -1, 9)
    assert outcome.result.reused is False


def test_labels_that_are_being_deleted_are_gone(store: Store, job: Job, other_job: Job) -> None:
    """Neither transaction sees what the other has done, and neither waits for the other for ever."""
    _record(store, job)
    _record(store, other_job)
    store.results.save([_labelled(job, thumbnail=b"seen")])
    with ThreadPoolExecutor(1) as threads:
        with stopped_after(store.jobs._database, "DELETE FROM thumbnails") as first:
            first(lambda: store.jobs.remove_items(job.id, 0, 1))
            second = threads.submit(store.results.save, [_labelled(other_job, reused=True)])
            wait_until(lambda: second.done() or somebody_waits(store.jobs._database), PATIENCE, "waiting")
        assert second.result(PATIENCE) == {(other_job.id, 0)}
    assert (_rows(store, results), _rows(store, thumbnails)) == (0, 0)


@pytest.mark.parametrize("options", [{"reused": True}, {"thumbnail": b"seen again"}])
def test_a_thumbnail_stays_for_a_result_that_is_being_stored(
    store: Store, job: Job, other_job: Job, options: dict[str, Any]
) -> None:
    _record(store, job)
    _record(store, other_job)
    store.results.save([_labelled(job, thumbnail=b"seen")])
    with ThreadPoolExecutor(1) as threads:
        with stopped_after(store.jobs._database, _last_statement(options)) as first:
            first(lambda: store.results.save([_labelled(other_job, **options)]))
            second = threads.submit(store.jobs.remove_items, job.id, 0, 1)
            wait_until(lambda: second.done() or somebody_waits(store.jobs._database), PATIENCE, "waiting")
        second.result(PATIENCE)
    assert store.thumbnails.get(other_job.id, 0) == b"seen"


def _last_statement(options: dict[str, Any]) -> str:
    return "INSERT INTO thumbnails" if "thumbnail" in options else "INSERT INTO progress"


def test_a_result_of_a_deleted_job_is_not_stored(store: Store, job: Job) -> None:
    _record(store, job)
    store.jobs.cancel(job.id)
    actions.cancel_rest(store, recorded := store.jobs.get(job.id))
    actions.delete(store, recorded)
    store.results.save([_labelled(job, 1, thumbnail=b"seen")])
    assert _rows(store, results) == 1, "only the cancelled one is there to be removed"
    actions.remove_rest(store, recorded)
    store.results.save([_labelled(job, thumbnail=b"seen")])
    assert [_rows(store, table) for table in (results, progress, thumbnails)] == [0, 0, 0]


def test_a_job_is_not_removed_under_a_result_that_is_being_stored(store: Store, job: Job) -> None:
    _record(store, job)
    with ThreadPoolExecutor(1) as threads:
        with stopped_after(store.jobs._database, "INSERT INTO progress") as writer:
            writer(lambda: store.results.save([_labelled(job)]))
            removing = threads.submit(store.jobs.remove, job.id)
            wait_until(lambda: removing.done() or somebody_waits(store.jobs._database), PATIENCE, "waiting")
        assert removing.result(PATIENCE) is False, "its result has no job any more"
    assert store.jobs.get(job.id).id == job.id


def test_malformed_lines_of_a_deleted_job_are_not_stored(store: Store, job: Job) -> None:
    from shared.job_status import MalformedLine

    _record(store, job)
    store.jobs.cancel(job.id)
    actions.cancel_rest(store, store.jobs.get(job.id))
    _delete(store, job)
    store.uploads.save_malformed(job.id, [MalformedLine(1, 1, "no URL")], 1)
    assert _rows(store, malformed) == 0


class _Files:
    """Any reference leads to the same bytes; counts how often."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.calls = 0

    async def fetch(self, request: FetchRequest) -> Fetched:
        self.calls += 1
        return Fetched(lambda: self._content, request.ref, 200)

    async def close(self) -> None:
        pass


@pytest.fixture
def working(
    store: Store, encoded: Callable[..., bytes]
) -> Iterator[tuple[InProcessBroker, Colours, RecordedModel]]:
    """A worker that runs, and labels pictures that are all the same."""
    broker, engine = InProcessBroker(), Colours()
    classifier = colour_classifier(engine)
    plan = WorkerPlan(2, 4, (), 3.0, wait_for_store=False, thumbnail_side=16)
    files = _Files(encoded(Image.new("RGB", (64, 48), "red"), "JPEG"))
    with ThreadPoolExecutor(1) as cpu, ThreadPoolExecutor(1) as thread:
        worker = Worker(
            Backends(store, broker, broker), Fetchers(files), Inference(lambda _: classifier, cpu), plan
        )
        running = thread.submit(lambda: asyncio.run(worker.run()))
        try:
            yield broker, engine, store.models.record(MODEL.name, MODEL.version, MODEL.labels)
        finally:
            worker.stop()
            running.result(PATIENCE)


def test_the_same_picture_has_a_thumbnail_again_after_its_job_was_deleted(
    store: Store, working: tuple[InProcessBroker, Colours, RecordedModel]
) -> None:
    broker, engine, model = working
    for number, key in enumerate(("first", "second"), 1):
        job = store.jobs.open(key, model.id)
        _record(store, job, 2)
        broker.publish(Message(job.id, index, f"http://h/{job.id}-{index}") for index in (0, 1))
        wait_until(lambda job=job: len(store.results.outcomes(job.id, -1, 9)) == 2, PATIENCE, "results")
        found = [outcome.result.reused for outcome in store.results.outcomes(job.id, -1, 9)]
        assert (sorted(found), engine.asked) == ([False, True], number)
        assert all(store.thumbnails.get(job.id, index) for index in (0, 1))
        assert len(broker._unacked) == 0
        _delete(store, job)
        assert store.jobs.newest(None, 9) == []
        assert _rows(store, thumbnails) == 0
    assert JobState.DELETING not in [job.state for job in store.jobs.active()]
