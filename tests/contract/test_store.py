"""What every store must do; each database runs this same suite."""

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete

from shared.errors import Code, ResourceError, UsageError
from shared.items import Evidence, Item, ItemState, JobState, Message, Result
from shared.store.database import Database
from shared.store.schema import results
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
    assert store.models.record("lite0", "1", _LABELS) == model
    assert [tuple(label) for label in model.labels] == _LABELS
    assert store.models.record("lite0", "2", _LABELS).id != model.id


def test_a_key_finds_its_job_until_it_is_released(store: Store, job: Job) -> None:
    assert (job.state, job.submitted) == (JobState.SUBMITTING, 0)
    assert store.jobs.open("key", job.model_id) == job
    store.jobs.release_key(job.id)
    assert store.jobs.open("key", job.model_id).id != job.id


def test_a_job_counts_its_items_and_is_sealed_and_completed(store: Store, job: Job) -> None:
    store.items.add(_items(job, 0, 3))
    store.items.add(_items(job, 3, 5))
    assert store.jobs.get(job.id).submitted == 5
    store.results.save([_succeeded(job, index) for index in range(4)])
    store.jobs.mark_recorded(job.id)
    assert store.jobs.get(job.id).state is JobState.RUNNING
    assert not store.jobs.complete(job.id), "completed before its last item was done"
    store.results.save([_succeeded(job, 4)])
    assert store.jobs.complete(job.id)
    assert store.jobs.get(job.id).state is JobState.COMPLETED
    assert not store.jobs.complete(job.id), "completed twice"
    store.jobs.mark_recorded(job.id)
    assert store.jobs.get(job.id).state is JobState.COMPLETED, "opened again"


def test_items_recorded_twice_are_there_once(store: Store, job: Job) -> None:
    store.items.add(_items(job, 0, 5))
    store.items.add(_items(job, 0, 3))
    assert store.jobs.get(job.id).submitted == 5
    assert store.items.pending(job.id, 0, 100) == _items(job, 0, 5)


def test_pending_items_of_a_range_are_those_that_are_not_done(store: Store, job: Job) -> None:
    store.items.add(_items(job, 0, 10))
    store.results.save([_succeeded(job, 1), _failed(job, 2)])
    first = store.items.pending(job.id, 0, 5)
    assert first == [_items(job, 0, 10)[i] for i in (0, 3, 4)]
    assert [item.index for item in store.items.pending(job.id, 5, 100)] == [5, 6, 7, 8, 9]


def test_a_result_is_read_back_as_it_was_saved(store: Store, job: Job) -> None:
    store.items.add(_items(job, 0, 2))
    saved = [_succeeded(job, 0), _failed(job, 1)]
    store.results.save(saved)
    outcomes = store.results.outcomes(job.id, after=-1, limit=10)
    assert [outcome.item for outcome in outcomes] == _items(job, 0, 2)
    for outcome, result in zip(outcomes, saved, strict=True):
        assert replace(outcome.result, finished_at=result.finished_at) == result


def test_outcomes_come_in_pages_by_index(store: Store, job: Job) -> None:
    store.items.add(_items(job, 0, 6))
    store.results.save([_succeeded(job, index) for index in (5, 3, 1, 0)])
    indexes = [outcome.item.index for outcome in store.results.outcomes(job.id, after=0, limit=2)]
    assert indexes == [1, 3]


def test_a_second_result_changes_neither_the_first_nor_the_counts(store: Store, job: Job) -> None:
    store.items.add(_items(job, 0, 2))
    store.results.save([_succeeded(job, 0)])
    store.results.save([_failed(job, 0), _succeeded(job, 1), _succeeded(job, 1)])
    states = [outcome.result.state for outcome in store.results.outcomes(job.id, -1, 10)]
    assert states == [ItemState.SUCCEEDED, ItemState.SUCCEEDED]
    assert _count(store.results.tallies(job.id)) == {("succeeded", None): 2}


def test_folding_changes_no_count(store: Store, job: Job) -> None:
    store.items.add(_items(job, 0, 6))
    for index in range(5):
        store.results.save([_succeeded(job, index)])
    store.results.save([_failed(job, 5)])
    before = _count(store.results.tallies(job.id))
    store.results.compact(job.id)
    store.results.compact(job.id)
    assert (
        _count(store.results.tallies(job.id))
        == before
        == {("succeeded", None): 5, ("failed", "empty_file"): 1}
    )


def test_jobs_do_not_mix(store: Store, job: Job) -> None:
    other = store.jobs.open("other", job.model_id)
    store.items.add(_items(job, 0, 1))
    store.items.add(_items(other, 0, 1))
    store.results.save([_succeeded(other, 0)])
    assert store.results.tallies(job.id) == []
    assert [item.job_id for item in store.items.pending(job.id, 0, 10)] == [job.id]


def test_writers_in_several_threads_lose_nothing(store: Store, job: Job) -> None:
    store.items.add(_items(job, 0, 400))

    def save(start: int) -> None:
        for index in range(start, start + 100, 10):
            store.results.save([_succeeded(job, i) for i in range(index, index + 10)])
            store.results.compact(job.id)

    threads = [threading.Thread(target=save, args=(start,)) for start in (0, 50, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _count(store.results.tallies(job.id)) == {("succeeded", None): 350}


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


def _add(store: Store, job: Job, *refs: str, start: int = 0) -> None:
    store.items.add([Item(job.id, index, ref) for index, ref in enumerate(refs, start)], f"digest {refs[-1]}")


def _states(store: Store, job: Job) -> dict[int, tuple[str, bool]]:
    outcomes = store.results.outcomes(job.id, -1, 1000)
    return {outcome.item.index: (outcome.result.state, outcome.result.reused) for outcome in outcomes}


def test_a_job_knows_what_it_was_asked_for(store: Store, model: RecordedModel) -> None:
    job = store.jobs.open("key", model.id, name="crawl", max_failure_rate=0.25, priority=1)
    assert (job.name, job.max_failure_rate, job.priority, job.model_id) == ("crawl", 0.25, 1, model.id)
    _add(store, job, "a.jpg", "b.jpg")
    assert store.jobs.get(job.id).references_digest == "digest b.jpg"
    assert store.models.get(model.id) == model


def test_a_job_that_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(UsageError, match="job 77") as caught:
        store.jobs.get(77)
    assert caught.value.code is Code.JOB_UNKNOWN


def test_jobs_are_listed_newest_first_in_pages(store: Store, model: RecordedModel) -> None:
    ids = [store.jobs.open(str(number), model.id).id for number in range(5)]
    assert [job.id for job in store.jobs.newest(None, 2)] == ids[:2:-1]
    assert [job.id for job in store.jobs.newest(ids[3], 10)] == ids[2::-1]


def test_an_item_with_an_earlier_ones_reference_is_not_labelled_again(store: Store, job: Job) -> None:
    _add(store, job, "a", "b", "a")
    _add(store, job, "b", "c", "b", start=3)
    assert [item.index for item in store.items.pending(job.id, 0, 10)] == [0, 1, 4]


def test_items_with_the_same_reference_get_the_same_result(store: Store, job: Job) -> None:
    _add(store, job, "a", "b", "a")
    store.results.save([_succeeded(job, 0), _failed(job, 1)])
    _add(store, job, "b", "a", "c", start=3)
    expected = {0: ("succeeded", False), 1: ("failed", False), 2: ("succeeded", True)}
    assert _states(store, job) == expected | {3: ("failed", True), 4: ("succeeded", True)}
    assert _count(store.results.tallies(job.id)) == {("succeeded", None): 3, ("failed", "empty_file"): 2}
    assert [item.index for item in store.items.pending(job.id, 0, 10)] == [5]


def test_duplicates_that_missed_their_result_get_it_when_settled(store: Store, job: Job) -> None:
    _add(store, job, "a", "a", "b", "b")
    store.results.save([_succeeded(job, 0)])
    with store.jobs._database.write() as connection:
        connection.execute(delete(results).where(results.c.index == 1))
    store.duplicates.backfill(job.id)
    store.duplicates.backfill(job.id)
    assert _states(store, job) == {0: ("succeeded", False), 1: ("succeeded", True)}


def test_different_jobs_do_not_share_references(store: Store, job: Job) -> None:
    _add(store, job, "a")
    other = store.jobs.open("other", job.model_id)
    _add(store, other, "a")
    assert [item.index for item in store.items.pending(other.id, 0, 10)] == [0]


def test_an_image_seen_before_is_found_by_its_bytes_and_model(store: Store, job: Job) -> None:
    _add(store, job, "a", "a", "b")
    store.results.save([_succeeded(job, 0), replace(_failed(job, 2), evidence=Evidence(sha256="cd" * 32))])
    found = store.results.labelled(job.model_id, ["ab" * 32, "cd" * 32, "ef" * 32])
    assert {digest: result.class_ids for digest, result in found.items()} == {"ab" * 32: (1, 0)}
    assert store.results.labelled(job.model_id + 1, ["ab" * 32]) == {}


def test_a_job_belongs_to_one_holder_at_a_time(store: Store, job: Job) -> None:
    assert store.jobs.lease(job.id, "one", 60)
    assert store.jobs.lease(job.id, "one", 60)
    assert not store.jobs.lease(job.id, "two", 60)
    store.jobs.end_leases("two")
    assert not store.jobs.lease(job.id, "two", 60)
    store.jobs.end_leases("one")
    assert store.jobs.lease(job.id, "two", -1)
    assert store.jobs.lease(job.id, "one", 60), "a lease that is over keeps the job"


def test_the_watermark_is_moved_by_its_holder_from_where_it_stands(store: Store, job: Job) -> None:
    store.jobs.lease(job.id, "one", 60)
    store.jobs.mark_published(job.id, "one", 0, 5)
    store.jobs.mark_published(job.id, "one", 0, 9)
    store.jobs.mark_published(job.id, "two", 5, 9)
    assert store.jobs.get(job.id).published == 5
    store.jobs.publish_again(job.id)
    assert store.jobs.get(job.id).published == 0


def test_a_paused_job_is_resumed_where_it_was(store: Store, job: Job) -> None:
    _add(store, job, "a")
    assert store.jobs.pause(job.id, "why")
    assert not store.jobs.pause(job.id, "again")
    assert (store.jobs.get(job.id).state, store.jobs.get(job.id).reason) == (JobState.PAUSED, "why")
    _add(store, job, "b", start=1)
    store.jobs.mark_recorded(job.id)
    assert store.jobs.get(job.id).state is JobState.PAUSED
    assert store.jobs.active() == []
    assert store.jobs.resume(job.id, 0.5)
    resumed = store.jobs.get(job.id)
    assert (resumed.state, resumed.reason, resumed.max_failure_rate) == (JobState.RUNNING, "", 0.5)
    assert not store.jobs.resume(job.id, None)


def test_a_job_can_be_paused_and_resumed_before_it_is_sealed(store: Store, job: Job) -> None:
    store.jobs.pause(job.id, "why")
    store.jobs.resume(job.id, None)
    assert store.jobs.get(job.id).state is JobState.SUBMITTING


def test_a_cancelled_job_keeps_what_was_done(store: Store, job: Job) -> None:
    _add(store, job, "a", "b", "a", "c")
    store.results.save([_succeeded(job, 1)])
    assert store.jobs.cancel(job.id)
    assert store.jobs.get(job.id).state is JobState.CANCELLING
    assert [job.id for job in store.jobs.active()] == [job.id]
    store.results.cancel_pending(job.id, 0, 2)
    assert not store.jobs.complete(job.id)
    store.results.cancel_pending(job.id, 0, 10)
    store.results.save([_succeeded(job, 0)])
    assert store.jobs.complete(job.id)
    assert store.jobs.get(job.id).state is JobState.CANCELLED
    assert [state for state, _ in _states(store, job).values()] == [
        "cancelled",
        "succeeded",
        "cancelled",
        "cancelled",
    ]
    assert _count(store.results.tallies(job.id)) == {("cancelled", None): 3, ("succeeded", None): 1}
    assert not store.jobs.cancel(job.id)


def test_a_cancelled_job_takes_no_more_items(store: Store, job: Job) -> None:
    store.jobs.cancel(job.id)
    with pytest.raises(UsageError) as caught:
        _add(store, job, "a")
    assert caught.value.code is Code.JOB_NOT_READY
    assert store.jobs.get(job.id).submitted == 0


def test_two_submissions_of_one_job_may_end_one_after_the_other(store: Store, job: Job) -> None:
    _add(store, job, "a", "b")
    store.jobs.mark_recorded(job.id)
    _add(store, job, "a", "b")
    with pytest.raises(UsageError):
        _add(store, job, "c", start=2)
    assert store.jobs.get(job.id).submitted == 2


def test_failed_items_are_run_again_by_cause(store: Store, job: Job) -> None:
    _add(store, job, "a", "b", "c", "b")
    store.jobs.mark_recorded(job.id)
    store.results.save([_succeeded(job, 0), _failed(job, 1, Code.HTTP_5XX), _failed(job, 2)])
    assert store.jobs.complete(job.id)
    assert store.jobs.reopen(job.id)
    assert (store.jobs.get(job.id).state, store.jobs.get(job.id).finished_at) == (JobState.RUNNING, None)
    assert not store.jobs.complete(job.id), "completed while its results are being taken back"
    assert store.results.forget_failed(job.id, [Code.HTTP_5XX], 0, 3) == 1
    assert store.jobs.reopen(job.id), "a retry that was interrupted cannot be repeated"
    assert store.results.forget_failed(job.id, [Code.HTTP_5XX], 3, 9) == 1
    assert _count(store.results.tallies(job.id)) == {("succeeded", None): 1, ("failed", "empty_file"): 1}
    store.jobs.mark_recorded(job.id)
    assert [item.index for item in store.items.pending(job.id, 0, 10)] == [1]
    store.results.save([_succeeded(job, 1)])
    assert store.jobs.complete(job.id)
    assert _states(store, job)[3] == ("succeeded", True)


def test_a_suspect_is_tried_so_often_and_no_more(store: Store, job: Job) -> None:
    message = Message(job.id, 3, "a")
    assert store.poison.begin_trial(message, limit=2)
    assert store.poison.begin_trial(message, limit=2)
    assert not store.poison.begin_trial(message, limit=2)
    assert store.poison.begin_trial(Message(job.id, 4, "b"), limit=2)


def test_a_suspect_that_did_no_harm_is_none(store: Store, job: Job) -> None:
    message = Message(job.id, 3, "a")
    for _ in range(5):
        assert store.poison.begin_trial(message, limit=2)
        store.poison.end_trial(message)


def test_a_value_that_no_database_takes_is_told_from_a_database_that_is_away(store: Store, job: Job) -> None:
    bad = replace(_succeeded(job, 0), detail=None)
    with pytest.raises(ResourceError) as caught:
        store.results.save([bad])
    assert caught.value.code is Code.DATABASE_REFUSED


def test_a_lease_of_a_clock_that_was_ahead_holds_no_job(store: Store, job: Job, database: Database) -> None:
    assert store.jobs.lease(job.id, "gone", 86_400)
    assert store.jobs.lease(job.id, "me", 10)
    assert not store.jobs.lease(job.id, "you", 10)
