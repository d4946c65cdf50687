"""What every store must do about pictures across jobs: what is known of them, and how they are forgotten."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text, update

from shared.errors import Code
from shared.items import Evidence, Item, ItemState, JobState, Result, Validators
from shared.store import deny_list
from shared.store.schema import jobs
from shared.store.store import Forgotten, Job, Outcome, RecordedModel, Store
from tests.contract.races import PATIENCE, somebody_waits, stopped_after
from tests.servers.waiting import wait_until

_URL, _OTHER = "http://h/a.jpg", "http://h/b.jpg"
_CAT, _DOG = "ca" * 32, "d0" * 32


@pytest.fixture
def other_job(store: Store, model: RecordedModel) -> Job:
    return store.jobs.open("other", model.id)


def _record(store: Store, job: Job, *refs: str, start: int = 0) -> None:
    store.items.add([Item(job.id, index, ref, f"id-{index}") for index, ref in enumerate(refs, start)])


def _labelled(job: Job, index: int, sha256: str = _CAT, **options: Any) -> Result:
    result = Result(
        job.id,
        index,
        ItemState.SUCCEEDED,
        datetime.now(UTC),
        2,
        job.model_id,
        class_ids=(1, 0),
        scores=(0.5, 0.25),
        evidence=Evidence(640, 480, "JPEG", 10, sha256, "h", "http://h/final", 200, 1.5, 2.5),
    )
    return replace(result, **options)


def _failed(job: Job, index: int, sha256: str | None = None) -> Result:
    evidence = Evidence(host="h", final_url="http://h/final", http_status=404, sha256=sha256)
    bare = _labelled(job, index, class_ids=(), scores=(), evidence=evidence, detail="why")
    return replace(bare, state=ItemState.FAILED, code=Code.HTTP_404)


def _counts(store: Store, job: Job) -> dict[str, int]:
    return {str(tally.code or tally.state): tally.count for tally in store.results.tallies(job.id)}


def _codes(store: Store, job: Job) -> list[str]:
    outcomes = store.results.outcomes(job.id, -1, 100)
    codes = [str(outcome.result.code or outcome.result.state) for outcome in outcomes]
    counts = _counts(store, job)
    assert {code: codes.count(code) for code in codes} == counts, "the numbers are not those of the rows"
    return codes


def _places(found: list[Outcome]) -> list[tuple[int, int]]:
    return [(one["job_id"], one["index"]) for one in found]


def _is_bare(result: Result) -> bool:
    kept = Evidence(host="h", fetch_ms=result.evidence.fetch_ms, label_ms=result.evidence.label_ms)
    return (result.class_ids, result.scores, result.detail, result.evidence) == ((), (), "", kept)


def test_a_url_is_forgotten_in_all_jobs_with_all_that_it_led_to(
    store: Store, job: Job, other_job: Job
) -> None:
    _record(store, job, _URL, _OTHER, _URL)
    _record(store, other_job, _OTHER, _URL)
    store.results.save([_labelled(job, 0), _labelled(job, 1), _labelled(other_job, 0, reused=True)])
    store.results.save([_labelled(other_job, 1, _DOG)])
    assert store.deny_list.forget_url(_URL) == Forgotten(3, tuple(sorted([_CAT, _DOG])))
    assert _codes(store, job) == ["forgotten", "succeeded", "forgotten"]
    assert _codes(store, other_job) == ["succeeded", "forgotten"]
    outcomes = store.results.outcomes(job.id, -1, 10)
    for forgotten in (outcomes[0].result, outcomes[2].result):
        assert (forgotten.state, forgotten.code) == (ItemState.SKIPPED, Code.FORGOTTEN)
        assert _is_bare(forgotten)
        assert (forgotten.attempts, forgotten.evidence.fetch_ms) == (2, 1.5)
    assert outcomes[1].result.evidence.sha256 == _CAT, "another URL's result was touched"


def test_bytes_are_forgotten_under_all_their_urls(store: Store, job: Job, other_job: Job) -> None:
    _record(store, job, _URL, _OTHER, "http://h/c.jpg", _URL)
    _record(store, other_job, "somewhere.jpg")
    store.results.save([_labelled(job, 0), _labelled(job, 1, reused=True), _labelled(job, 2, _DOG)])
    store.results.save([_labelled(other_job, 0)])
    assert store.deny_list.forget_sha256(_CAT) == Forgotten(4, (_CAT,))
    assert _codes(store, job) == ["forgotten", "forgotten", "succeeded", "forgotten"]
    assert _codes(store, other_job) == ["forgotten"]
    assert store.results.labelled(job.model_id, [_CAT]) == {}


def test_what_had_failed_is_forgotten_too(store: Store, job: Job) -> None:
    _record(store, job, _URL, _OTHER)
    store.results.save([_failed(job, 0), _failed(job, 1, _CAT)])
    assert (store.deny_list.forget_url(_URL).results, store.deny_list.forget_sha256(_CAT).results) == (1, 1)
    assert _codes(store, job) == ["forgotten"] * 2
    assert all(_is_bare(outcome.result) for outcome in store.results.outcomes(job.id, -1, 10))


def test_forgetting_again_changes_nothing(store: Store, job: Job) -> None:
    _record(store, job, _URL, _OTHER)
    store.results.save([_labelled(job, 0), _labelled(job, 1)])
    store.deny_list.forget_url(_URL)
    store.deny_list.forget_sha256(_CAT)
    before = store.results.outcomes(job.id, -1, 10)
    assert store.deny_list.forget_url(_URL) == store.deny_list.forget_sha256(_CAT) == Forgotten(0, ())
    assert store.results.outcomes(job.id, -1, 10) == before
    assert _codes(store, job) == ["forgotten"] * 2


def test_many_results_are_forgotten_bit_by_bit(
    store: Store, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deny_list, "_AT_ONCE", 3)
    _record(store, job, *(f"http://h/{index}" for index in range(8)))
    store.results.save([_labelled(job, index) for index in range(8)])
    assert store.deny_list.forget_sha256(_CAT).results == 8
    assert _codes(store, job) == ["forgotten"] * 8


def test_a_forgotten_url_is_not_asked_for_as_one_that_is_known(store: Store, job: Job) -> None:
    known = Validators(_URL, '"tag"', None)
    _record(store, job, _URL, _OTHER)
    store.results.save(
        [_labelled(job, 0, revalidation=(_URL, known)), _labelled(job, 1, revalidation=(_OTHER, known))]
    )
    store.deny_list.forget_url(_URL)
    store.results.save([_labelled(job, 2)])  # the same bytes have labels still
    assert list(store.stored_responses.find(job.model_id, [_URL, _OTHER])) == [_OTHER]
    store.deny_list.forget_sha256(_CAT)
    with store.jobs._database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM validators")).scalar() == 0


def test_what_is_denied_is_known_to_be(store: Store) -> None:
    store.deny_list.forget_url(_URL)
    store.deny_list.forget_sha256(_CAT)
    assert store.deny_list.urls([_URL, _OTHER]) == {_URL}
    assert store.deny_list.contents([_CAT, _DOG]) == {_CAT}
    assert store.deny_list.urls([]) == store.deny_list.contents([]) == set()


@pytest.mark.parametrize(
    ("written", "is_same"),
    [
        ("HTTP://H.example:80/a%7Eb.jpg?x=1#part", True),
        ("http://h.example/a~b.jpg?x=1", True),
        ("https://h.example/a~b.jpg?x=1", False),
        ("http://h.example:81/a~b.jpg?x=1", False),
        ("http://h.example/A~b.jpg?x=1", False),
        ("http://h.example:none/a~b.jpg?x=1", False),
    ],
)
def test_a_url_is_denied_however_it_is_written(store: Store, job: Job, written: str, is_same: bool) -> None:
    store.deny_list.forget_url("http://h.example/a~b.jpg?x=1")
    assert store.deny_list.urls([written]) == ({written} if is_same else set())
    _record(store, job, written)
    store.results.save([_labelled(job, 0)])
    assert _codes(store, job) == ["forgotten" if is_same else "succeeded"]


def test_nothing_that_is_denied_is_stored_with_labels(store: Store, job: Job) -> None:
    store.deny_list.forget_url(_URL)
    store.deny_list.forget_sha256(_DOG)
    refs = (_URL, _OTHER, "http://h/c.jpg", "http://h/d.jpg", _URL, _OTHER)
    _record(store, job, *refs)
    revisit = (_URL, Validators(_URL, '"tag"', None))
    store.results.save(
        [_labelled(job, 0, revalidation=revisit), _labelled(job, 1, _DOG, reused=True), _labelled(job, 2)]
    )
    store.results.save([_failed(job, 3)])
    assert _codes(store, job) == [
        *("forgotten", "forgotten", "succeeded"),
        *("http_404", "forgotten", "forgotten"),
    ]
    outcomes = store.results.outcomes(job.id, -1, 10)
    assert all(_is_bare(outcomes[index].result) for index in (0, 1, 4, 5))
    assert store.stored_responses.find(job.model_id, [_URL]) == {}


def test_what_a_worker_left_out_is_stored_without_what_it_saw(store: Store, job: Job) -> None:
    _record(store, job, _URL)
    code = {"state": ItemState.SKIPPED, "code": Code.FORGOTTEN, "class_ids": (), "scores": ()}
    store.results.save([_labelled(job, 0, **code)])
    assert _is_bare(store.results.outcomes(job.id, -1, 1)[0].result)


def _save_one(store: Store, _job: Job, other: Job) -> None:
    store.results.save([_labelled(other, 0, thumbnail=b"seen")])


def _record_a_duplicate(store: Store, job: Job, _other: Job) -> None:
    _record(store, job, _URL, start=1)


@pytest.mark.parametrize("write", [_save_one, _record_a_duplicate])
@pytest.mark.parametrize(
    "forget", [lambda s: s.deny_list.forget_url(_URL), lambda s: s.deny_list.forget_sha256(_CAT)]
)
def test_what_is_being_stored_meanwhile_is_forgotten_too(
    store: Store,
    job: Job,
    other_job: Job,
    write: Callable[[Store, Job, Job], None],
    forget: Callable[[Store], Forgotten],
) -> None:
    """A transaction that looked at the deny list too early must not bring in what nobody finds any more."""
    _record(store, job, _URL)
    _record(store, other_job, _URL)
    store.results.save([_labelled(job, 0)])
    with ThreadPoolExecutor(1) as threads:
        with stopped_after(store.jobs._database, "INSERT INTO progress") as writer:
            writer(lambda: write(store, job, other_job))
            under_way = threads.submit(forget, store)
            wait_until(lambda: under_way.done() or somebody_waits(store.jobs._database), PATIENCE, "waiting")
        assert under_way.result(PATIENCE).results == 2
    assert set(_codes(store, job) + _codes(store, other_job)) == {"forgotten"}
    with store.jobs._database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM thumbnails")).scalar() == 0


def test_a_picture_is_known_across_jobs_the_newest_first(store: Store, job: Job, other_job: Job) -> None:
    _record(store, job, _URL, _OTHER, _URL)
    _record(store, other_job, _OTHER, _URL)
    store.results.save(
        [_labelled(job, 0), _labelled(job, 1, _DOG), _labelled(other_job, 0), _failed(other_job, 1)]
    )
    by_url = store.search.by_url(_URL, None, None, 10)
    assert _places(by_url) == [(other_job.id, 1), (job.id, 2), (job.id, 0)]
    assert [one["ref"] for one in by_url] == [_URL] * 3
    assert [one["code"] for one in by_url] == [Code.HTTP_404, None, None]
    assert by_url[2]["custom_id"] == "id-0"
    by_content = store.search.by_sha256(_CAT, None, None, 10)
    assert _places(by_content) == [(other_job.id, 0), (job.id, 2), (job.id, 0)]
    assert store.search.by_url("http://h/never", None, None, 10) == []


def test_what_is_known_comes_in_pages(store: Store, job: Job, other_job: Job) -> None:
    for one in (job, other_job):
        _record(store, one, *[_URL] * 4)
        store.results.save([_labelled(one, 0)])
    expected = [(one.id, index) for one in (other_job, job) for index in (3, 2, 1, 0)]
    for look in (
        lambda after: store.search.by_url(_URL, None, after, 3),
        lambda after: store.search.by_sha256(_CAT, None, after, 3),
    ):
        places: list[tuple[int, int]] = []
        while page := _places(look(places[-1] if places else None)):
            assert len(page) <= 3
            places += page
        assert places == expected


def test_only_the_jobs_of_a_key_are_seen_with_it(store: Store, job: Job, other_job: Job) -> None:
    for key_id, one in enumerate((job, other_job), 1):
        _record(store, one, _URL)
        store.results.save([_labelled(one, 0)])
        _change(store, one, key_id=key_id)
    for key_id, one in enumerate((job, other_job), 1):
        assert _places(store.search.by_url(_URL, key_id, None, 10)) == [(one.id, 0)]
        assert _places(store.search.by_sha256(_CAT, key_id, None, 10)) == [(one.id, 0)]
    assert store.search.by_url(_URL, 3, None, 10) == []


def test_jobs_that_are_being_removed_are_not_seen(store: Store, job: Job) -> None:
    _record(store, job, _URL)
    store.results.save([_labelled(job, 0)])
    _change(store, job, state=JobState.DELETING)
    assert store.search.by_url(_URL, None, None, 10) == store.search.by_sha256(_CAT, None, None, 10) == []


def _change(store: Store, job: Job, **values: object) -> None:
    with store.jobs._database.write() as connection:
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(**values))
