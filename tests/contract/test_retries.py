"""Items that wait for another attempt: who waits, until when, and how they are given up."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared import actions
from shared.errors import Code, UsageError
from shared.items import Evidence, Item, ItemState, JobState, Message, Result, now
from shared.store.store import Job, RecordedModel, Store, WaitingItem

_HOST = "images.example"


@pytest.fixture
def crawl(store: Store, model: RecordedModel) -> Job:
    """A running job of six images, of which the last is a duplicate of the first."""
    job = store.jobs.open("crawl", model.id)
    refs = [f"http://{_HOST}/{number}" for number in (0, 1, 2, 3, 4, 0)]
    store.items.add([Item(job.id, index, ref) for index, ref in enumerate(refs)])
    store.jobs.mark_recorded(job.id)
    return store.jobs.get(job.id)


def _failure(job: Job, index: int, code: Code = Code.HTTP_5XX, **changes: Any) -> Result:
    evidence = Evidence(host=_HOST, final_url=f"http://{_HOST}/{index}", http_status=500)
    failure = Result(job.id, index, ItemState.FAILED, now(), 1, job.model_id, code=code, evidence=evidence)
    return replace(failure, **changes)


def _success(job: Job, index: int, attempts: int = 2) -> Result:
    return Result(job.id, index, ItemState.SUCCEEDED, now(), attempts, job.model_id, (0,), (0.5,))


def _back_off(store: Store, host: str, seconds: float, gives_up_in: float | None, trips: int = 1) -> None:
    state = store.hosts.claim([host], "me", 60).states[host]
    at = store.hosts.now()
    gives_up_at = 0 if gives_up_in is None else at + gives_up_in
    state = replace(state, closed_until=at + seconds, gives_up_at=gives_up_at, code="http_5xx", trips=trips)
    store.hosts.renew([state], [0], "me", 0)


def _wait_for_host(store: Store, job: Job, *indexes: int, attempt: int = 1) -> None:
    messages = [Message(job.id, index, f"http://{_HOST}/{index}", attempt) for index in indexes]
    store.waiting.add([WaitingItem(message, _HOST, message.ref) for message in messages])


def _seconds(store: Store, time: datetime | None) -> float:
    assert time is not None
    return (time - datetime.fromtimestamp(store.hosts.now(), UTC)).total_seconds()


def _counts(store: Store, job: Job) -> dict[tuple[str, str | None], int]:
    return {(tally.state, tally.code): tally.count for tally in store.results.tallies(job.id)}


def test_nothing_waits_at_first(store: Store, crawl: Job) -> None:
    assert store.retries.waiting(crawl.id) is None


def test_what_waits_is_told_by_host_and_cause_with_its_next_attempt_and_its_end(
    store: Store, crawl: Job
) -> None:
    store.retries.add(_failure(crawl, 0), 60, 600)
    store.retries.add(_failure(crawl, 1), 120, 700)
    other = replace(_failure(crawl, 2).evidence, host="b.example")
    store.retries.add(_failure(crawl, 2, Code.CONNECT_TIMEOUT, evidence=other), 30, 500)
    waiting = store.retries.waiting(crawl.id)
    assert waiting is not None
    assert (waiting.count, waiting.is_all) == (3, True)
    assert [(one.host, one.code, one.count) for one in waiting.groups] == [
        (_HOST, "http_5xx", 2),
        ("b.example", "connect_timeout", 1),
    ]
    assert _seconds(store, waiting.next_at) == pytest.approx(30, abs=5)
    assert _seconds(store, waiting.groups[0].next_at) == pytest.approx(60, abs=5)
    assert _seconds(store, waiting.ends_by) == pytest.approx(700, abs=5)


def test_what_waits_for_a_host_that_is_backed_off_is_told_too(store: Store, crawl: Job) -> None:
    _wait_for_host(store, crawl, 0, 1, 2)
    assert store.retries.waiting(crawl.id) is None, "they wait for their turn"
    _back_off(store, _HOST, 100, 1000)
    waiting = store.retries.waiting(crawl.id)
    assert waiting is not None
    assert [(one.host, one.code, one.count) for one in waiting.groups] == [(_HOST, "http_5xx", 3)]
    assert _seconds(store, waiting.next_at) == pytest.approx(100, abs=5)
    assert _seconds(store, waiting.ends_by) == pytest.approx(1000, abs=5)


def test_a_host_that_only_wants_a_short_pause_is_slow_and_one_that_is_given_up_holds_nobody(
    store: Store, crawl: Job
) -> None:
    _wait_for_host(store, crawl, 0, 1)
    _back_off(store, _HOST, 2, None, trips=0)
    assert store.retries.waiting(crawl.id) is None
    _back_off(store, _HOST, 900, -1, trips=4)
    assert store.retries.waiting(crawl.id) is None
    _back_off(store, _HOST, 300, None, trips=0)
    waiting = store.retries.waiting(crawl.id)
    assert waiting is not None
    assert (waiting.count, waiting.ends_by) == (2, None), "the host sets the pace"


def test_an_item_whose_attempt_is_due_or_over_waits_no_more(store: Store, crawl: Job) -> None:
    store.retries.add(_failure(crawl, 0), 60, 600)
    store.retries.add(_failure(crawl, 1), -1, 600)
    store.retries.add(_failure(crawl, 2), None, 600)
    store.results.save([_success(crawl, 0)])
    assert store.retries.waiting(crawl.id) is None


def test_nothing_is_noted_of_an_item_that_has_its_result(store: Store, crawl: Job) -> None:
    store.results.save([_success(crawl, 0)])
    store.retries.add(_failure(crawl, 0), 60, 600)
    assert store.retries.waiting(crawl.id) is None
    assert store.retries.is_over(Message(crawl.id, 0, "ref", 2))
    assert not store.retries.is_over(Message(crawl.id, 1, "ref", 2))


def test_waiting_items_are_given_up_with_their_last_failure_and_counted_once(
    store: Store, crawl: Job
) -> None:
    store.results.save([_success(crawl, 1, attempts=1)])
    for attempts in (1, 2):
        detail = f"attempt {attempts}"
        store.retries.add(_failure(crawl, 0, detail=detail, attempts=attempts), 60, 600)
    store.retries.add(_failure(crawl, 2, Code.CONNECT_TIMEOUT), None, 600)
    _wait_for_host(store, crawl, 2, attempt=2)
    _wait_for_host(store, crawl, 3)
    _back_off(store, _HOST, 100, 1000)
    assert actions.give_up(store, crawl) == 3
    assert _counts(store, crawl) == {
        (ItemState.SUCCEEDED, None): 1,
        (ItemState.FAILED, Code.HTTP_5XX): 2,  # with the duplicate
        (ItemState.FAILED, Code.CONNECT_TIMEOUT): 1,
        (ItemState.FAILED, Code.HOST_DOWN): 1,
    }
    outcomes = {outcome.item.index: outcome.result for outcome in store.results.outcomes(crawl.id, -1, 10)}
    first = outcomes[0]
    assert (first.detail, first.attempts, first.evidence.http_status) == ("attempt 2", 2, 500)
    assert (first.evidence.host, first.evidence.final_url) == (_HOST, f"http://{_HOST}/0")
    assert (outcomes[5].code, outcomes[5].reused) == (Code.HTTP_5XX, True)
    assert outcomes[3].detail == f"{_HOST}: http_5xx"
    assert sorted(outcomes) == [0, 1, 2, 3, 5], "an item that never failed was given up"
    assert store.retries.waiting(crawl.id) is None
    assert actions.give_up(store, crawl) == 0


def test_a_result_that_comes_after_all_changes_nothing(store: Store, crawl: Job) -> None:
    store.retries.add(_failure(crawl, 0), 60, 600)
    assert actions.give_up(store, crawl) == 1
    before = _counts(store, crawl)
    store.results.save([_success(crawl, 0)])
    assert _counts(store, crawl) == before
    store.retries.add(_failure(crawl, 0), 60, 600)
    assert store.retries.waiting(crawl.id) is None


def test_what_was_given_up_can_be_retried(store: Store, crawl: Job) -> None:
    store.retries.add(_failure(crawl, 0), 60, 600)
    actions.give_up(store, crawl)
    assert actions.retry(store, store.jobs.get(crawl.id), []) == 2
    assert 0 in [item.index for item in store.items.pending(crawl.id, 0, 10)]
    store.retries.add(_failure(crawl, 0), 60, 600)
    assert store.retries.waiting(crawl.id) is not None


def _cancel(store: Store, job: Job) -> None:
    store.jobs.cancel(job.id)
    actions.cancel_rest(store, store.jobs.get(job.id))


def _forget(store: Store, job: Job) -> None:
    store.deny_list.forget_url(f"http://{_HOST}/0")


@pytest.mark.parametrize("end", [_cancel, _forget])
def test_a_cancelled_job_and_a_forgotten_image_leave_nothing_that_waits(
    store: Store, crawl: Job, end: Callable[[Store, Job], None]
) -> None:
    store.retries.add(_failure(crawl, 0), 60, 600)
    end(store, crawl)
    assert store.retries.waiting(crawl.id) is None


def test_a_job_that_is_over_has_nothing_to_give_up(store: Store, crawl: Job) -> None:
    store.jobs.cancel(crawl.id)
    with pytest.raises(UsageError, match="nothing waits") as raised:
        actions.give_up(store, store.jobs.get(crawl.id))
    assert raised.value.code is Code.JOB_NOT_READY
    assert store.jobs.get(crawl.id).state is JobState.CANCELLING


def test_more_than_can_be_counted_is_told_as_more(
    store: Store, crawl: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.store.retries._COUNTED", 2)
    for index in range(3):
        store.retries.add(_failure(crawl, index), 60, 600)
    waiting = store.retries.waiting(crawl.id)
    assert waiting is not None
    assert (waiting.count, waiting.is_all, waiting.ends_by) == (2, False, None)


def test_a_worker_is_seen_for_a_minute_by_the_jobs_it_works_for(store: Store, crawl: Job) -> None:
    assert not store.workers.is_seen(crawl.id)
    store.workers.note("mine", crawl.id)
    assert store.workers.is_seen(crawl.id)
    assert not store.workers.is_seen(crawl.id + 1)
    store.workers.note("any", None)
    assert store.workers.is_seen(crawl.id + 1)
    store.workers.remove("any")
    store.workers.remove("mine")
    assert not store.workers.is_seen(crawl.id)
