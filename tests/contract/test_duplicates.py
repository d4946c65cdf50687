"""Items with the same reference, of which there are more than one transaction takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, delete, event, func, select

from shared.errors import Code
from shared.items import Item, ItemState, JobState, Result
from shared.store import items as items_module
from shared.store.database import Database
from shared.store.schema import results
from shared.store.store import Job, Store

_AT_ONCE = 3


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items_module, "AT_ONCE", _AT_ONCE)


def _add(store: Store, job: Job, refs: str) -> None:
    """Record items, each with a letter for its reference, each in a transaction of its own."""
    for index, ref in enumerate(refs):
        store.items.add([Item(job.id, index, ref)])
    store.jobs.mark_recorded(job.id)


def _labelled(job: Job, index: int) -> Result:
    return Result(job.id, index, ItemState.SUCCEEDED, datetime.now(UTC), 1, job.model_id, (1,), (0.5,))


def _failed(job: Job, index: int) -> Result:
    return replace(_labelled(job, index), state=ItemState.FAILED, code=Code.HTTP_404, class_ids=(), scores=())


def _states(store: Store, job: Job) -> dict[int, str]:
    return {
        outcome.item.index: outcome.result.state.value[0]
        for outcome in store.results.outcomes(job.id, -1, 1000)
    }


def _count(store: Store, job: Job) -> dict[str, int]:
    return {tally.state.value[0]: tally.count for tally in store.results.tallies(job.id)}


@contextmanager
def _stored_at_once(database: Database) -> Iterator[list[int]]:
    """Give how many results each transaction adds."""
    added: list[int] = []
    before = 0

    def note(connection: Connection) -> None:
        nonlocal before
        count = connection.execute(select(func.count()).select_from(results)).scalar_one()
        added.append(count - before)
        before = count

    event.listen(database._engine, "commit", note)
    yield added
    event.remove(database._engine, "commit", note)


def test_a_result_is_saved_however_many_items_have_its_reference(store: Store, job: Job) -> None:
    _add(store, job, "abaaacaaaabaaabc")
    store.results.save([_labelled(job, 0), _failed(job, 1), _labelled(job, 5)])
    assert _states(store, job) == {0: "s", 1: "f", 5: "s", 10: "f", 14: "f", 15: "s"}
    assert _count(store, job) == {"s": 3, "f": 3}
    assert store.items.pending(job.id, 0, 100) == [], "a duplicate is to be labelled itself"
    assert not store.jobs.complete(job.id), "completed before all duplicates have their results"


def test_what_was_left_is_settled_and_counted_once(store: Store, job: Job) -> None:
    refs = "abaaacaaaabaaabc"
    _add(store, job, refs)
    store.results.save([_labelled(job, 0), _failed(job, 1), _labelled(job, 5)])
    for _ in range(2):
        store.duplicates.backfill(job.id)
        assert _states(store, job) == {index: "f" if ref == "b" else "s" for index, ref in enumerate(refs)}
        assert _count(store, job) == {"s": 13, "f": 3}
    assert store.jobs.complete(job.id)
    assert store.jobs.get(job.id).state is JobState.COMPLETED


@pytest.mark.parametrize(
    "refs",
    [
        *("a", "ab", "aa", "aaaa", "aaaaa", "aaaaaaa", "aaaaaaaa"),
        *("abababababab", "aabbccddeeff", "aaaabbbbcccc", "abcdefghhhhhhhhh", "aaaaaaaaabcdefgh"),
        *("aabbbbbbbbbccddddddddaee", "abbbbaaaaabbbbaaaabbbaaaab", "zyxwvutzyxwvutzyxwvutzyx"),
    ],
)
def test_all_duplicates_are_settled_some_at_a_time(
    store: Store, job: Job, database: Database, refs: str
) -> None:
    _add(store, job, refs)
    with _stored_at_once(database) as added:
        store.results.save([_labelled(job, item.index) for item in store.items.pending(job.id, 0, 100)])
        store.duplicates.backfill(job.id)
    assert _states(store, job) == dict.fromkeys(range(len(refs)), "s")
    assert _count(store, job) == {"s": len(refs)}
    assert added[0] <= len(set(refs)) + _AT_ONCE
    assert max(added[1:]) <= _AT_ONCE


def test_only_those_are_settled_whose_original_has_a_result(store: Store, job: Job) -> None:
    _add(store, job, "abaaaaaabbbbbbbb")
    store.results.save([_labelled(job, 1)])
    store.duplicates.backfill(job.id)
    assert _states(store, job) == dict.fromkeys((1, *range(8, 16)), "s")


def test_what_was_missed_in_between_is_settled(store: Store, job: Job) -> None:
    _add(store, job, "abaaaaaabbbbbbbb")
    store.results.save([_labelled(job, 0), _labelled(job, 1)])
    store.duplicates.backfill(job.id)
    with store.jobs._database.write() as connection:
        connection.execute(delete(results).where(results.c.index.in_([2, 6, 9, 15])))
    store.duplicates.backfill(job.id)
    assert _states(store, job) == dict.fromkeys(range(16), "s")


def test_what_is_left_when_a_job_is_cancelled_is_cancelled(store: Store, job: Job) -> None:
    _add(store, job, "aaaaaaa")
    store.results.save([_labelled(job, 0)])
    store.jobs.cancel(job.id)
    store.results.cancel_pending(job.id, 0, 10)
    store.duplicates.backfill(job.id)
    assert _count(store, job) == {"s": 1, "c": 6}
    assert store.jobs.complete(job.id)


def test_other_jobs_duplicates_are_left_alone(store: Store, job: Job) -> None:
    other = store.jobs.open("other", job.model_id)
    for one in (job, other):
        _add(store, one, "aaaaaaa")
        store.results.save([_labelled(one, 0)])
    store.duplicates.backfill(job.id)
    assert (_count(store, job), _count(store, other)) == ({"s": 7}, {"s": 1})
