"""What every store must do about webhooks."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import update

from shared import actions
from shared.errors import Code
from shared.items import Item, ItemState, JobState, Result, now
from shared.store.database import Database
from shared.store.schema_api import webhooks
from shared.store.store import Job, RecordedModel, Store, Webhook, WebhookState

_URL, _SECRET = "https://hooks.example.com/jobs", "whsec_c2VjcmV0"


def _job(store: Store, model: RecordedModel, key: str = "job") -> Job:
    job = store.jobs.open(key, model.id)
    store.webhooks.add(job.id, _URL, _SECRET)
    return job


def _complete(store: Store, job_id: int) -> None:
    store.jobs.mark_recorded(job_id)
    assert store.jobs.complete(job_id)


def _claim(store: Store, lease: float = 60) -> Webhook:
    (webhook,) = store.webhooks.due(10, lease)
    return webhook


def _found(store: Store, job: Job) -> Webhook:
    webhook = store.webhooks.get(job.id)
    assert webhook is not None
    return webhook


def test_a_job_has_one_webhook_or_none(store: Store, model: RecordedModel) -> None:
    job, other = _job(store, model), store.jobs.open("other", model.id)
    store.webhooks.add(job.id, "https://elsewhere.example.com/", "whsec_b3RoZXI=")
    assert store.webhooks.get(job.id) == Webhook(job.id, _URL, _SECRET)
    assert store.webhooks.get(other.id) is None
    assert store.webhooks.get_many([job.id, other.id]) == {job.id: Webhook(job.id, _URL, _SECRET)}


def test_a_secret_is_not_in_what_is_logged_of_a_webhook() -> None:
    assert _SECRET not in repr(Webhook(1, _URL, _SECRET))


def test_nothing_is_due_while_a_job_runs(store: Store, model: RecordedModel) -> None:
    job = _job(store, model)
    assert store.webhooks.due(10, 60) == []
    store.jobs.mark_recorded(job.id)
    store.jobs.pause(job.id, "too many failures")
    assert store.webhooks.due(10, 60) == []


@pytest.mark.parametrize("reason", ["", "the list could not be read"])
def test_a_job_that_was_cancelled_or_failed_is_over_too(
    store: Store, model: RecordedModel, reason: str
) -> None:
    job = _job(store, model)
    if reason:
        store.jobs.fail(job.id, reason)
    else:
        store.jobs.cancel(job.id)
    assert store.webhooks.due(10, 60) == []
    store.jobs.complete(job.id)
    assert _claim(store).job_id == job.id


def test_a_claim_counts_as_an_attempt_and_keeps_others_away(store: Store, model: RecordedModel) -> None:
    job = _job(store, model)
    _complete(store, job.id)
    claimed = _claim(store)
    assert (claimed.job_id, claimed.url, claimed.secret, claimed.attempts) == (job.id, _URL, _SECRET, 1)
    assert claimed == _found(store, job)
    assert store.webhooks.due(10, 60) == []


def test_a_claim_that_has_run_out_can_be_taken_over(store: Store, model: RecordedModel) -> None:
    job = _job(store, model)
    _complete(store, job.id)
    late = _claim(store, lease=-1)
    claimed = _claim(store)
    assert claimed.attempts == 2
    store.webhooks.note_delivered(late)
    store.webhooks.note_failed(late, "http_5xx", None)
    assert _found(store, job) == claimed


def test_what_is_delivered_is_not_due_again(store: Store, model: RecordedModel) -> None:
    job = _job(store, model)
    _complete(store, job.id)
    claimed = _claim(store, lease=-1)
    store.webhooks.note_delivered(claimed)
    assert _found(store, job) == replace(claimed, state=WebhookState.DELIVERED)
    assert store.webhooks.due(10, 60) == []


def test_what_failed_is_due_again_when_its_time_has_come(store: Store, model: RecordedModel) -> None:
    job = _job(store, model)
    _complete(store, job.id)
    store.webhooks.note_failed(_claim(store), "http_5xx (HTTP 500)", 60)
    found = _found(store, job)
    assert (found.state, found.attempts, found.last_error) == (
        WebhookState.PENDING,
        1,
        "http_5xx (HTTP 500)",
    )
    assert 50 < found.next_at - store.hosts.now() <= 60
    assert store.webhooks.due(10, 60) == []


def test_a_failure_without_a_pause_is_tried_again_at_once(store: Store, model: RecordedModel) -> None:
    _complete(store, _job(store, model).id)
    store.webhooks.note_failed(_claim(store), "http_5xx", 0)
    again = _claim(store)
    assert again.attempts == 2
    store.webhooks.note_delivered(again)
    assert store.webhooks.get_many([again.job_id])[again.job_id].last_error == ""


def test_what_was_given_up_is_not_due_again(store: Store, model: RecordedModel) -> None:
    job = _job(store, model)
    _complete(store, job.id)
    store.webhooks.note_failed(_claim(store, lease=-1), "http_410 (HTTP 410)", None)
    found = _found(store, job)
    assert (found.state, found.last_error) == (WebhookState.GIVEN_UP, "http_410 (HTTP 410)")
    assert store.webhooks.due(10, 60) == []


@pytest.mark.parametrize("delivered", [True, False])
def test_a_job_that_is_reopened_tells_again_when_it_is_over(
    store: Store, model: RecordedModel, delivered: bool
) -> None:
    job = _job(store, model)
    _complete(store, job.id)
    if delivered:
        store.webhooks.note_delivered(_claim(store))
    else:
        store.webhooks.note_failed(_claim(store), "http_5xx", None)
    assert store.jobs.reopen(job.id)
    assert _found(store, job) == Webhook(job.id, _URL, _SECRET)
    assert store.webhooks.due(10, 60) == []
    _complete(store, job.id)
    assert _claim(store).attempts == 1


def test_what_was_told_of_an_earlier_end_is_not_taken_for_the_next(
    store: Store, model: RecordedModel
) -> None:
    job = _job(store, model)
    _complete(store, job.id)
    earlier = _claim(store)
    store.jobs.reopen(job.id)
    store.webhooks.note_delivered(earlier)
    assert _found(store, job).state is WebhookState.PENDING
    _complete(store, job.id)
    _claim(store, lease=120)
    store.webhooks.note_failed(earlier, "http_5xx", None)
    assert _found(store, job).state is WebhookState.PENDING


def test_what_cannot_be_reopened_tells_nothing_again(store: Store, model: RecordedModel) -> None:
    job = _job(store, model)
    store.items.add([Item(job.id, 0, "a")])
    store.jobs.cancel(job.id)
    store.results.cancel_pending(job.id, 0, 1)
    store.jobs.complete(job.id)
    store.webhooks.note_delivered(_claim(store))
    assert not store.jobs.reopen(job.id)
    assert store.jobs.get(job.id).state is JobState.CANCELLED
    assert _found(store, job).state is WebhookState.DELIVERED


def test_the_longest_due_are_claimed_first_as_many_as_there_is_room_for(
    store: Store, model: RecordedModel
) -> None:
    jobs = [_job(store, model, str(number)) for number in range(3)]
    for job in jobs:
        _complete(store, job.id)
    ago = dict(zip([job.id for job in jobs], (10, 30, 20), strict=True))
    for webhook in store.webhooks.due(3, 60):
        store.webhooks.note_failed(webhook, "http_5xx", -ago[webhook.job_id])
    claimed = store.webhooks.due(2, 60)
    assert [webhook.job_id for webhook in claimed] == [jobs[1].id, jobs[2].id]


def test_of_several_claimers_each_webhook_goes_to_one(store: Store, model: RecordedModel) -> None:
    jobs = [_job(store, model, str(number)).id for number in range(40)]
    for job_id in jobs:
        _complete(store, job_id)

    def claim_all() -> list[int]:
        claimed: list[int] = []
        while found := store.webhooks.due(3, 60):
            claimed += [webhook.job_id for webhook in found]
        return claimed

    with ThreadPoolExecutor(4) as threads:
        claims = [threads.submit(claim_all) for _ in range(4)]
    assert Counter(job_id for claim in claims for job_id in claim.result()) == Counter(jobs)


def test_a_retry_of_nothing_is_no_other_end(store: Store, model: RecordedModel) -> None:
    job = _job(store, model)
    store.items.add([Item(job.id, 0, "http://h/a")])
    store.jobs.mark_recorded(job.id)
    failed = Result(job.id, 0, ItemState.FAILED, now(), 1, model.id, code=Code.HTTP_404)
    store.results.save([failed])
    store.jobs.complete(job.id)
    store.webhooks.note_delivered(_claim(store))
    before = store.jobs.get(job.id), _found(store, job)
    assert actions.retry(store, before[0], []) == 0
    assert (store.jobs.get(job.id), _found(store, job)) == before
    assert store.webhooks.due(10, 60) == []
    assert actions.retry(store, before[0], [Code.HTTP_404]) == 1
    assert store.results.outcomes(job.id, -1, 9) == []
    store.results.save([failed])
    assert store.jobs.complete(job.id)
    assert _claim(store).attempts == 1


def test_an_interrupted_retry_is_finished_by_the_next_one(store: Store, model: RecordedModel) -> None:
    """It had removed the failures, but the job was not marked as recorded yet."""
    job = _job(store, model)
    store.items.add([Item(job.id, 0, "http://h/a")])
    store.jobs.mark_recorded(job.id)
    store.results.save([Result(job.id, 0, ItemState.FAILED, now(), 1, model.id, code=Code.HTTP_5XX)])
    store.jobs.complete(job.id)
    store.jobs.reopen(job.id)
    store.results.forget_failed(job.id, [Code.HTTP_5XX], 0, 1)
    actions.retry(store, store.jobs.get(job.id), [])
    found = store.jobs.get(job.id)
    assert (found.recorded, found.state) == (True, JobState.RUNNING)


def test_what_a_clock_that_was_ahead_has_put_off_is_due(
    store: Store, model: RecordedModel, database: Database
) -> None:
    job = _job(store, model)
    _complete(store, job.id)
    store.webhooks.note_failed(_claim(store), "http_5xx", 300)
    assert store.webhooks.due(10, 60) == []
    ahead = {"next_at": webhooks.c.next_at + 86_400, "put_off_at": webhooks.c.put_off_at + 86_400}
    with database.write() as connection:
        connection.execute(update(webhooks).values(ahead))
    assert _claim(store).attempts == 2
    assert store.webhooks.due(10, 60) == []
