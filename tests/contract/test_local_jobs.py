"""What every store must do about jobs that one process runs for itself, and about what waits for a host."""

import pytest

from producer.dispatch import Dispatcher
from producer.maintenance import JobMaintenance
from shared import actions
from shared.broker import InProcessBroker
from shared.errors import Code, UsageError
from shared.items import Evidence, Item, ItemState, JobState, Message, Result, now
from shared.store.store import Demand, Job, RecordedModel, Store, WaitingItem

_LADDER = 3


@pytest.fixture
def local(store: Store, model: RecordedModel) -> Job:
    """A recorded job of two URLs that a process runs for itself."""
    return _local(store, model, "http://h/0", "http://h/1")


def _local(store: Store, model: RecordedModel, *refs: str) -> Job:
    job = store.jobs.open("digest", model.id, local=True)
    store.items.add([Item(job.id, index, ref) for index, ref in enumerate(refs)])
    store.jobs.mark_recorded(job.id)
    return store.jobs.get(job.id)


def _result(job: Job, index: int, code: Code | None = None) -> Result:
    state = ItemState.FAILED if code else ItemState.SUCCEEDED
    return Result(job.id, index, state, now(), 1, job.model_id, code=code, evidence=Evidence(host="h"))


def _wait(store: Store, job: Job, *indexes: int) -> None:
    messages = [Message(job.id, index, f"http://h/{index}") for index in indexes]
    store.waiting.add([WaitingItem(message, "h", message.ref) for message in messages])


def _take(store: Store, holder: str, job_id: int | None = None) -> list[int] | None:
    taken = store.waiting.take(Demand(9, {}, 9, job_id=job_id), holder, _LADDER, 60)
    return None if taken is None else [item.message.index for item in taken.items]


def _waiting(store: Store) -> int:
    return sum(host.waiting for host in store.hosts.page("", 9))


def test_nobody_else_publishes_or_completes_it(store: Store, local: Job) -> None:
    broker = InProcessBroker()
    assert local.local
    assert store.jobs.active() == []
    Dispatcher(store, broker, 100).publish(store.jobs.active())
    store.results.save([_result(local, index) for index in (0, 1)])
    JobMaintenance(store, broker, 0, 2).maintain(store.jobs.active())
    assert (broker.depth(), store.jobs.get(local.id).state) == (0, JobState.RUNNING)


def test_others_bring_it_to_its_end_when_people_say_so(store: Store, local: Job) -> None:
    maintenance = JobMaintenance(store, InProcessBroker(), 0, 2)
    actions.cancel(store, local)
    maintenance.maintain(store.jobs.active())
    assert store.jobs.get(local.id).state is JobState.CANCELLED
    assert store.jobs.find("digest") is None, "the next `smartsight label` would end as it began"
    actions.delete(store, store.jobs.get(local.id))
    maintenance.maintain(store.jobs.active())
    assert store.jobs.newest(None, 9) == []


def test_what_waits_of_it_is_taken_by_its_process_alone(store: Store, local: Job, job: Job) -> None:
    _wait(store, local, 0, 1)
    assert _take(store, "worker") is None
    assert store.hosts.claim(["h"], "label", 60).states["h"].holder == "label", "it was taken"
    assert _take(store, "label", local.id) == [0, 1]
    store.hosts.claim(["h"], "label", -1)
    _wait(store, job, 7)
    assert _take(store, "worker") == [7]


def test_a_lease_is_had_by_one_process_until_it_ends(store: Store, local: Job) -> None:
    assert store.jobs.leased_until(local.id) is None
    assert store.jobs.lease(local.id, "mine", 60)
    until = store.jobs.leased_until(local.id)
    assert not store.jobs.lease(local.id, "another", 60)
    assert store.jobs.lease(local.id, "mine", 60)
    assert (store.jobs.leased_until(local.id) or 0) > (until or 0)
    assert store.jobs.lease(local.id, "mine", -1)
    assert store.jobs.lease(local.id, "another", 60)


def test_a_retry_hands_it_over_to_the_workers_when_its_process_is_gone(store: Store, local: Job) -> None:
    store.results.save([_result(local, 0), _result(local, 1, Code.HTTP_5XX)])
    store.jobs.lease(local.id, "label", 60)
    with pytest.raises(UsageError, match="`smartsight label` is running it") as caught:
        actions.retry(store, local, [])
    assert caught.value.code is Code.JOB_NOT_READY
    assert store.jobs.get(local.id) == local
    store.jobs.lease(local.id, "label", -1)
    assert actions.retry(store, local, []) == 1
    assert [(job.id, job.local) for job in store.jobs.active()] == [(local.id, False)]
    assert store.jobs.find("digest") is None, "`smartsight label` would run it, too"


def test_files_are_not_handed_over(store: Store, model: RecordedModel) -> None:
    job = _local(store, model, "http://h/0", "a.jpg")
    store.results.save([_result(job, 0, Code.HTTP_5XX), _result(job, 1)])
    store.jobs.complete(job.id)
    with pytest.raises(UsageError, match="run `smartsight label` again"):
        actions.retry(store, store.jobs.get(job.id), [])
    assert store.jobs.get(job.id).state is JobState.COMPLETED


def test_what_waits_for_a_host_is_not_published_as_well(store: Store, job: Job) -> None:
    store.items.add([Item(job.id, index, f"http://h/{index}") for index in range(3)])
    _wait(store, job, 1)
    assert [item.index for item in store.items.pending(job.id, 0, 9)] == [0, 2]


def test_an_item_with_a_result_does_not_wait(store: Store, job: Job) -> None:
    """It was delivered twice, and the other delivery came to its end first."""
    store.items.add([Item(job.id, index, f"http://h/{index}") for index in range(3)])
    _wait(store, job, 0, 1)
    taken = store.waiting.take(Demand(9, {}, 9), "me", _LADDER, 60)
    assert taken is not None
    store.results.save([_result(job, index) for index in (0, 2)])
    store.waiting.add(taken.items)
    _wait(store, job, 2)
    assert (_waiting(store), _take(store, "me")) == (1, [1])


def test_an_item_that_got_its_result_while_it_waited_is_not_taken(store: Store, job: Job) -> None:
    store.items.add([Item(job.id, index, f"http://h/{index}") for index in range(2)])
    _wait(store, job, 0, 1)
    store.results.save([_result(job, 0)])
    assert (_take(store, "me"), _waiting(store)) == ([1], 1)


def test_nothing_of_a_completed_job_waits(store: Store, job: Job) -> None:
    store.items.add([Item(job.id, 0, "http://h/0")])
    store.jobs.mark_recorded(job.id)
    _wait(store, job, 0)
    store.results.save([_result(job, 0)])
    assert store.jobs.complete(job.id)
    assert _waiting(store) == 0
