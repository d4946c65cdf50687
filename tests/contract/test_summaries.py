"""What every store must say of a job's results as a whole; each database runs this same suite."""

import hashlib
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from shared.errors import Code, UsageError
from shared.items import Evidence, Item, ItemState, Result
from shared.store.database import Database
from shared.store.schema_hosts import hosts, job_hosts
from shared.store.store import ClassCounts, Job, Store
from shared.store.summaries import RECENT, Summary, bar_width

_START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_DEFAULT_DELAY = 2.0


@pytest.fixture
def job(store: Store) -> Job:
    job = store.jobs.open("key", store.models.record("lite0", "1", [("n1", "cat"), ("n2", "dog")]).id)
    store.items.add([Item(job.id, index, f"{index}.jpg") for index in range(100)])
    return job


def _result(job: Job, index: int, host: str | None = "a.example", **evidence: Any) -> Result:
    return Result(
        job_id=job.id,
        index=index,
        state=ItemState.SUCCEEDED,
        finished_at=_START,
        attempts=1,
        model_id=job.model_id,
        class_ids=(1, 0),
        scores=(0.9, 0.1),
        evidence=Evidence(host=host, **evidence),
    )


def _failed(job: Job, index: int, host: str | None, code: Code, detail: str = "") -> Result:
    state = ItemState.SKIPPED if code is Code.ROBOTS_DISALLOWED else ItemState.FAILED
    evidence = Evidence(host=host)
    return Result(job.id, index, state, _START, 1, job.model_id, (), (), code, detail, evidence)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _add_hosts(database: Database, job: Job, counts: dict[str, int], **known: dict[str, Any]) -> None:
    with database.write() as connection:
        rows = [{"job_id": job.id, "host": host, "items": count} for host, count in counts.items()]
        connection.execute(insert(job_hosts), rows)
        for host, values in known.items():
            connection.execute(insert(hosts).values(host=host, **values))


def _summary(store: Store, job: Job, top: int = 10) -> Summary:
    return store.summaries.get(job.id, _DEFAULT_DELAY, top)


def test_a_job_without_results_is_summed_up(store: Store, job: Job) -> None:
    summary = _summary(store, job)
    assert (summary.job.id, summary.job.submitted) == (job.id, 100)
    assert (summary.endings, summary.causes, summary.bars, summary.classes.most) == ((), (), (), ())


def test_an_unknown_job_is_refused(store: Store) -> None:
    with pytest.raises(UsageError) as caught:
        store.summaries.get(404, _DEFAULT_DELAY, 10)
    assert caught.value.code is Code.JOB_UNKNOWN


def test_endings_count_hosts_bytes_and_times(store: Store, job: Job) -> None:
    store.results.save([_result(job, 0, "a.example", bytes=100, fetch_ms=10.0)])
    store.results.save([_result(job, 1, "b.example", bytes=3_000_000_000, fetch_ms=30.0)])
    store.results.save([_result(job, 2, None), _failed(job, 3, "a.example", Code.HTTP_404)])
    endings = {(ending.state, ending.code): ending for ending in _summary(store, job).endings}
    good, bad = endings[ItemState.SUCCEEDED, None], endings[ItemState.FAILED, Code.HTTP_404]
    assert (good.count, good.hosts, good.bytes) == (3, 2, 3_000_000_100)
    assert (good.fetched, good.fetch_ms) == (2, 40.0)
    assert (bad.count, bad.hosts, bad.bytes, bad.fetched, bad.fetch_ms) == (1, 1, 0, 0, 0.0)
    assert good.first_at == good.last_at == _START


def test_recent_are_those_of_the_last_minutes(store: Store, job: Job) -> None:
    now = datetime.now(UTC)
    for index, age in enumerate([timedelta(0), RECENT / 2, 2 * RECENT, timedelta(days=1)]):
        result = _result(job, index)
        store.results.save([Result(**_fields(result) | {"finished_at": now - age})])
    (ending,) = _summary(store, job).endings
    assert (ending.count, ending.recent) == (4, 2)


def _fields(result: Result) -> dict[str, Any]:
    return {name: getattr(result, name) for name in Result.__dataclass_fields__}


def test_the_commonest_causes_come_first_each_with_an_example(store: Store, job: Job) -> None:
    store.results.save(
        [_failed(job, index, "a.example", Code.HTTP_404, f"no {index}") for index in (7, 5, 9)]
    )
    store.results.save([_failed(job, index, "b.example", Code.HTTP_404) for index in (10, 11)])
    store.results.save([_failed(job, 12, "c.example", Code.ROBOTS_DISALLOWED, "line 3")])
    store.results.save([_failed(job, 13, None, Code.FILE_NOT_FOUND), _result(job, 14)])
    causes = _summary(store, job, top=3).causes
    assert [(cause.host, cause.code, cause.count) for cause in causes] == [
        ("a.example", Code.HTTP_404, 3),
        ("b.example", Code.HTTP_404, 2),
        ("c.example", Code.ROBOTS_DISALLOWED, 1),
    ]
    assert (causes[0].ref, causes[0].detail) == ("5.jpg", "no 5")
    assert causes[2].state is ItemState.SKIPPED
    assert _summary(store, job).causes[3].host is None


def test_what_another_job_has_does_not_count(store: Store, job: Job, database: Database) -> None:
    other = store.jobs.open("other", job.model_id)
    store.items.add([Item(other.id, 0, "x.jpg")])
    store.results.save([_failed(other, 0, "a.example", Code.HTTP_404)])
    _add_hosts(database, other, {"a.example": 7})
    summary = _summary(store, job)
    assert (summary.endings, summary.causes, summary.busiest) == ((), (), ())


def test_classes_are_counted_with_and_without_copies(store: Store, job: Job) -> None:
    dogs = [_result(job, index, sha256=_sha256(f"dog {index % 2}")) for index in range(5)]
    cats = [_result(job, index, sha256=_sha256(f"cat {index}")) for index in range(5, 8)]
    store.results.save(
        dogs + [Result(**_fields(cat) | {"class_ids": (0,), "scores": (0.5,)}) for cat in cats]
    )
    store.results.save([_failed(job, 9, None, Code.IMAGE_CORRUPT)])
    classes = _summary(store, job).classes
    assert [(found.class_id, found.count, found.contents) for found in classes.most] == [(1, 5, 2), (0, 3, 3)]
    assert (classes.classes, classes.count, classes.contents) == (2, 8, 5)
    cut = _summary(store, job, top=1).classes
    assert [found.class_id for found in cut.most] == [1]
    assert (cut.classes, cut.count, cut.contents) == (2, 8, 5)


def test_reused_results_are_counted(store: Store, job: Job) -> None:
    store.results.save([_result(job, 0), Result(**_fields(_result(job, 1)) | {"reused": True})])
    (ending,) = _summary(store, job).endings
    assert (ending.count, ending.reused) == (2, 1)


def test_the_time_line_has_a_bar_a_step_and_no_cancelled_ones(store: Store, job: Job) -> None:
    for index, seconds in enumerate([0, 1, 59, 3599, 3600]):
        result = _result(job, index)
        store.results.save([Result(**_fields(result) | {"finished_at": _START + timedelta(seconds=seconds)})])
    store.results.cancel_pending(job.id, 5, 100)
    summary = _summary(store, job)
    assert summary.bar_seconds == 60
    assert [(bar.at, bar.state, bar.count) for bar in summary.bars] == [
        (_START, ItemState.SUCCEEDED, 3),
        (_START + timedelta(minutes=59), ItemState.SUCCEEDED, 1),
        (_START + timedelta(minutes=60), ItemState.SUCCEEDED, 1),
    ]


@pytest.mark.parametrize("seconds", [0, 1, 61, 3600, 86_400 * 7, 86_400 * 365 * 30])
def test_a_time_line_is_short_however_long_the_job(seconds: int) -> None:
    assert seconds / bar_width(_START, _START + timedelta(seconds=seconds)) <= 60


def test_slow_hosts_come_first_and_one_late_image_is_no_slow_host(store: Store, job: Job) -> None:
    store.results.save(
        [_result(job, index, "a.example", fetch_ms=10.0 + index, bytes=5) for index in range(3)]
    )
    store.results.save([_result(job, 3, "b.example", fetch_ms=900.0), _result(job, 4, None, fetch_ms=1e6)])
    found = [(host.host, host.fetched, host.fetch_ms, host.bytes) for host in _summary(store, job).slowest]
    assert found == [("b.example", 1, 900.0, 0), ("a.example", 3, 11.0, 15)]


def test_what_is_left_of_a_host_takes_its_delay_each(store: Store, job: Job, database: Database) -> None:
    counts = {"a.example": 50, "b.example": 10, "c.example": 5, "d.example": 9, "e.example": 3}
    _add_hosts(
        database,
        job,
        counts,
        **{
            "a.example": {"delay": 0.5},
            "b.example": {"delay": 1.0, "closed_until": time.time() + 1000, "code": "rate_limited"},
            "d.example": {"blocked": True},
            "e.example": {"delay": 1.0, "closed_until": time.time() - 1000},
        },
    )
    store.results.save([_result(job, index, "a.example") for index in range(10)])
    store.results.save([_result(job, index, "e.example") for index in range(10, 13)])
    b, a, c, d = _summary(store, job).busiest
    assert (b.host, b.left, b.code, b.items) == ("b.example", 10, Code.RATE_LIMITED, 10)
    assert 900 < b.closed_for <= 1000
    assert b.seconds == pytest.approx(b.closed_for + 10, abs=1)
    assert (a.host, a.left, a.delay, a.closed_for, a.seconds) == ("a.example", 40, 0.5, 0, 20)
    assert (c.host, c.left, c.delay, c.seconds) == ("c.example", 5, _DEFAULT_DELAY, 10)
    assert (d.host, d.left, d.blocked, d.seconds) == ("d.example", 9, True, 0)
    assert [load.host for load in _summary(store, job, top=1).busiest] == ["b.example"]


def test_hosts_of_ones_own_have_no_delay(store: Store, job: Job, database: Database) -> None:
    closed = {"delay": 1.0, "closed_until": time.time() + 1000}
    _add_hosts(database, job, {"a.example": 50, "b.example": 10}, **{"b.example": closed})
    own = {"a.example", "b.example"}
    b, a = store.summaries.get(job.id, _DEFAULT_DELAY, 10, own).busiest
    assert (a.host, a.delay, a.seconds) == ("a.example", 0, 0)
    assert (b.host, b.delay, b.seconds) == ("b.example", 0, pytest.approx(b.closed_for))


def test_the_hosts_of_causes_are_described_whether_anything_is_left(
    store: Store, job: Job, database: Database
) -> None:
    closed = {"delay": 4.0, "closed_until": time.time() + 1000}
    _add_hosts(database, job, {"a.example": 1, "b.example": 2}, **{"a.example": closed})
    store.results.save([_failed(job, 0, "a.example", Code.RATE_LIMITED)])
    assert [load.host for load in _summary(store, job, top=1).loads] == ["b.example", "a.example"]
    store.results.save([_result(job, index, "b.example") for index in (1, 2)])
    summary = _summary(store, job, top=1)
    assert [(load.host, load.left, load.delay) for load in summary.loads] == [("a.example", 0, 4.0)]
    assert summary.busiest == ()


def test_all_numbers_are_of_one_moment(store: Store, job: Job, database: Database) -> None:
    with database.read_at_length() as connection:
        before = connection.exec_driver_sql("SELECT count(*) FROM results").scalar_one()
        store.results.save([_result(job, 0)])
        assert connection.exec_driver_sql("SELECT count(*) FROM results").scalar_one() == before
    assert len(_summary(store, job).endings) == 1


def test_classes_are_counted_by_their_index(store: Store, job: Job) -> None:
    assert store.summaries.class_counts(job.id, 10) == ClassCounts()
    other = store.jobs.open("other", job.model_id)
    store.items.add([Item(other.id, 0, "0.jpg")])
    store.results.save([_result(other, 0), _failed(job, 0, "a.example", Code.HTTP_404)])
    store.results.save([_result(job, index) for index in (1, 2)])
    store.results.save(
        [replace(_result(job, 3), class_ids=(0, 1)), replace(_result(job, 4), class_ids=(0, 1))]
    )
    store.results.save([_result(job, 5)])
    assert store.summaries.class_counts(job.id, 10) == ClassCounts(((1, 3), (0, 2)), 2, 5)
    assert store.summaries.class_counts(job.id, 1) == ClassCounts(((1, 3),), 2, 5)
