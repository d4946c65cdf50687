"""What every store must find when results are looked for; each database runs this same suite."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import event

from results_api.rows import row_of
from shared.errors import Code
from shared.items import Evidence, Item, ItemState, Result, now
from shared.store import search
from shared.store.database import Database
from shared.store.result_frames import frame_of, present
from shared.store.search import BEGINNING, FoundPage
from shared.store.store import Filter, Job, RecordedModel, Store
from tests.filling import multiply

_COUNT = 40


def _labelled(job: Job, index: int, class_id: int, score: float, host: str) -> Result:
    evidence = Evidence(640, 480, "JPEG", 10, "ab" * 32, host, f"http://{host}/", 200, 1.5, 2.5)
    ids, scores = (class_id, 1 - class_id), (score, 0.01)
    return Result(job.id, index, ItemState.SUCCEEDED, now(), 1, job.model_id, ids, scores, evidence=evidence)


def _failed(job: Job, index: int, code: Code, host: str) -> Result:
    state = ItemState.SKIPPED if code is Code.ROBOTS_DISALLOWED else ItemState.FAILED
    evidence = Evidence(host=host)
    return Result(job.id, index, state, now(), 1, job.model_id, (), (), code, "why", evidence)


def _result(job: Job, index: int) -> Result:
    """Return a cat, a dog, a 404 and one that robots.txt forbids, by turns, of two hosts."""
    host = "a.example" if index < _COUNT // 2 else "b.example"
    if index % 4 == 2:
        return _failed(job, index, Code.HTTP_404 if index % 8 == 2 else Code.EMPTY_FILE, host)
    if index % 4 == 3:
        return _failed(job, index, Code.ROBOTS_DISALLOWED, host)
    return _labelled(job, index, index % 4, 0.7 if index % 8 < 4 else 0.3, host)


@pytest.fixture
def full(store: Store, job: Job) -> Job:
    """A job whose items all have results, but the last two: one has none, and one is cancelled."""
    store.items.add([Item(job.id, index, f"{index}.jpg", f"id {index}") for index in range(_COUNT)])
    store.results.save([_result(job, index) for index in range(_COUNT - 2)])
    store.results.cancel_pending(job.id, _COUNT - 1, _COUNT)
    other = store.jobs.open("other", job.model_id)
    store.items.add([Item(other.id, index, f"{index}.jpg") for index in range(_COUNT)])
    store.results.save([_result(other, index) for index in range(_COUNT)])
    return job


def _indexes(page: FoundPage) -> list[int]:
    return [row["index"] for row in page.rows]


def _all(store: Store, job: Job, wanted: Filter, limit: int = 7) -> list[int]:
    indexes: list[int] = []
    after: int | None = BEGINNING
    while after is not None:
        page = store.search.page(job.id, wanted, after, limit)
        assert len(page.rows) <= limit
        indexes += _indexes(page)
        assert page.after is None or page.after > after
        after = page.after
    return indexes


_FILTERS = {
    "all": (Filter(), lambda i: i != 38),
    "succeeded": (Filter(state=ItemState.SUCCEEDED), lambda i: i % 4 < 2 and i < 38),
    "failed": (Filter(state=ItemState.FAILED), lambda i: i % 4 == 2 and i < 38),
    "skipped": (Filter(state=ItemState.SKIPPED), lambda i: i % 4 == 3 and i < 38),
    "cancelled": (Filter(state=ItemState.CANCELLED), lambda i: i == 39),
    "code": (Filter(code=Code.HTTP_404), lambda i: i % 8 == 2 and i < 38),
    "code of another state": (Filter(ItemState.SKIPPED, Code.HTTP_404), lambda i: False),
    "class": (Filter(class_ids=(1,)), lambda i: i % 4 == 1),
    "classes": (Filter(class_ids=(0, 1)), lambda i: i % 4 < 2 and i < 38),
    "many classes": (Filter(class_ids=tuple(range(100))), lambda i: i % 4 < 2 and i < 38),
    "no class": (Filter(class_ids=()), lambda i: False),
    "score": (Filter(min_score=0.7), lambda i: i % 8 < 2 and i < 38),
    "host": (Filter(host="b.example"), lambda i: 20 <= i < 38),
    "host and class": (Filter(class_ids=(0,), host="b.example"), lambda i: 20 <= i < 38 and i % 4 == 0),
    "class and score": (Filter(class_ids=(0,), min_score=0.5), lambda i: i % 8 == 0),
    "code, host and state": (
        Filter(ItemState.FAILED, Code.EMPTY_FILE, host="a.example"),
        lambda i: i < 20 and i % 8 == 6,
    ),
    "unknown host": (Filter(host="c.example"), lambda i: False),
}


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_a_filter_finds_what_meets_it_in_the_order_of_the_items(store: Store, full: Job, limit: int) -> None:
    for name, (wanted, meets) in _FILTERS.items():
        met = [index for index in range(_COUNT) if meets(index)]
        assert (name, _all(store, full, wanted, limit)) == (name, met)


def test_however_little_is_looked_through_for_a_page_nothing_is_missed(
    store: Store, full: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_IN_TURN", 3)
    monkeypatch.setattr(search, "_BY_INDEX", 2)
    for name, (wanted, meets) in _FILTERS.items():
        met = [index for index in range(_COUNT) if meets(index)]
        assert (name, _all(store, full, wanted, 1)) == (name, met)


def test_a_page_without_conditions_tells_exactly_whether_more_follow(store: Store, full: Job) -> None:
    assert store.search.page(full.id, Filter(), BEGINNING, _COUNT - 1).after is None
    assert store.search.page(full.id, Filter(), BEGINNING, _COUNT - 2).after == _COUNT - 3
    assert store.search.page(full.id, Filter(), _COUNT, 10) == FoundPage([], None)


def test_a_row_holds_what_was_stored(store: Store, full: Job) -> None:
    cat, _, missing = store.search.page(full.id, Filter(), BEGINNING, 3).rows
    assert [cat[name] for name in ("index", "ref", "custom_id", "state", "code", "detail")] == [
        *(0, "0.jpg", "id 0", "succeeded", None, "")
    ]
    assert [list(cat["class_ids"]), list(cat["scores"])] == [[0, 1], [0.7, 0.01]]
    assert (cat["width"], cat["sha256"], cat["reused"]) == (640, bytes.fromhex("ab" * 32), False)
    assert [cat[name] for name in ("host", "attempts", "fetch_ms", "label_ms")] == ["a.example", 1, 1.5, 2.5]
    assert (missing["index"], missing["state"]) == (2, "failed")
    assert (missing["code"], missing["detail"]) == ("http_404", "why")
    assert [list(missing["class_ids"]), list(missing["scores"])] == [[], []]


@pytest.mark.parametrize("limit", [7, 1000])
def test_columns_hold_what_rows_do(store: Store, full: Job, model: RecordedModel, limit: int) -> None:
    for wanted, _ in _FILTERS.values():
        after: int | None = BEGINNING
        while after is not None:
            rows, goes_on = store.search.page(full.id, wanted, after, limit)
            columns, after = store.search.columns(full.id, wanted, after, limit)
            assert after == goes_on
            expected = frame_of([row_of(row, model) for row in rows])
            assert present(columns.frame(), model).to_dicts() == expected.to_dicts(), wanted


def test_what_failed_and_was_taken_back_is_not_found(store: Store, full: Job) -> None:
    store.results.forget_failed(full.id, [Code.HTTP_404], 0, _COUNT)
    assert _all(store, full, Filter(state=ItemState.FAILED)) == [
        index for index in range(_COUNT - 2) if index % 8 == 6
    ]


class _Statements:
    """What is asked of a database, to be asked again for its plan."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked: list[tuple[str, Any]] = []
        event.listen(database._engine, "before_cursor_execute", self._note)

    def _note(self, _: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        self._asked.append((statement, parameters))

    def plans(self) -> str:
        """Return how the database goes about all that was asked so far."""
        asked = list(self._asked)
        with self._database.read() as connection:
            explain = "EXPLAIN " if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "
            lines = [
                str(row[-1])
                for statement, parameters in asked
                for row in connection.exec_driver_sql(explain + statement, parameters)
            ]
        return "\n".join(lines)


_INDEXES = [
    (Filter(code=Code.HTTP_404), "results_by_code"),
    (Filter(state=ItemState.FAILED), "results_by_code"),
    (Filter(class_ids=(1,)), "results_by_class"),
    (Filter(class_ids=(0, 1)), "results_by_class"),
    (Filter(host="b.example", min_score=0.5), "results_by_host"),
]


def test_a_filter_is_met_by_its_index(store: Store, full: Job, database: Database) -> None:
    multiply(database, full.id, 500)
    _analyze(database)
    for wanted, index in _INDEXES:
        statements = _Statements(database)
        page = store.search.page(full.id, wanted, BEGINNING, 100)
        plans = statements.plans()
        assert len(page.rows) == 100
        assert index in plans, wanted
        for scan in ("Seq Scan on results", "SCAN results"):
            assert scan not in plans


def _analyze(database: Database) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("ANALYZE")


def test_a_late_page_does_not_begin_with_the_first_item(store: Store, full: Job, database: Database) -> None:
    """Postgres merged the results behind an index with all items of the job."""
    multiply(database, full.id, 500)
    _analyze(database)
    statements = _Statements(database)
    store.results.outcomes(full.id, 10_000, 100)
    store.search.page(full.id, Filter(), 10_000, 100)
    for line in statements.plans().splitlines():
        if "items_pkey" in line or "Index Cond" in line or "SEARCH items" in line:
            assert "Cond" not in line or "index" in line, line


def _codes(rows: Sequence[Any]) -> set[str]:
    return {row["code"] for row in rows}


def test_more_codes_than_are_merged_are_found_too(
    store: Store, job: Job, model: RecordedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_MERGED", 2)
    codes = (Code.HTTP_404, Code.HTTP_403, Code.EMPTY_FILE)
    store.items.add([Item(job.id, index, f"{index}.jpg") for index in range(3)])
    store.results.save([_failed(job, index, code, "a.example") for index, code in enumerate(codes)])
    page = store.search.page(job.id, Filter(state=ItemState.FAILED), BEGINNING, 10)
    assert _codes(page.rows) == set(codes)


def test_behind_the_last_index_that_there_can_be_nothing_is_found(store: Store, job: Job) -> None:
    assert store.search.page(job.id, Filter(min_score=0.5), 2**63 - 1, 10) == FoundPage([], None)
