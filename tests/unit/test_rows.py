import pytest

from results_api.rows import OrderedRows
from shared.errors import Code
from shared.items import Item, ItemState, Result, now
from shared.store.database import Database
from shared.store.search import FoundPage, Search
from shared.store.store import Filter, Job, RecordedModel, Store

_COUNT = 400


class _CountingSearch(Search):
    """Notes how many results are asked for."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.limits: list[int] = []

    def page(self, job_id: int, wanted: Filter, after: int, limit: int) -> FoundPage:
        self.limits.append(limit)
        return super().page(job_id, wanted, after, limit)


@pytest.fixture
def store(tmp_path: object) -> Store:
    database = Database(f"sqlite:///{tmp_path}/test.db")
    store = Store(database)
    store.search = _CountingSearch(database)
    return store


@pytest.fixture
def model(store: Store) -> RecordedModel:
    return store.models.record("lite0", "1", [("n1", "cat"), ("n2", "dog")])


@pytest.fixture
def job(store: Store, model: RecordedModel) -> Job:
    job = store.jobs.open("key", model.id)
    store.items.add([Item(job.id, index, f"{index}.jpg") for index in range(_COUNT)])
    return job


@pytest.fixture
def rows(store: Store, job: Job, model: RecordedModel) -> OrderedRows:
    return OrderedRows(store, job.id, model)


def _save(store: Store, job: Job, *indexes: int) -> None:
    store.results.save(
        Result(job.id, index, ItemState.FAILED, now(), 1, 1, code=Code.EMPTY_FILE, detail="why")
        for index in indexes
    )


def _next(rows: OrderedRows) -> list[int]:
    return [row["index"] for row in rows.next()]


def test_rows_come_in_order_each_as_soon_as_those_before_it_are_there(
    store: Store, job: Job, rows: OrderedRows
) -> None:
    assert _next(rows) == []
    _save(store, job, 0, 1, 3, 4)
    assert _next(rows) + _next(rows) == [0, 1]
    assert _next(rows) == []
    _save(store, job, 2)
    assert _next(rows) + _next(rows) == [2, 3, 4]


def test_while_one_item_is_missing_the_others_are_not_read_again_and_again(
    store: Store, job: Job, rows: OrderedRows
) -> None:
    _save(store, job, *range(1, _COUNT))
    for _ in range(3):
        assert _next(rows) == []
    assert isinstance(store.search, _CountingSearch)
    assert store.search.limits[1:] == [1, 1]


def test_a_row_explains_its_code(store: Store, job: Job, rows: OrderedRows) -> None:
    _save(store, job, 0)
    (row,) = rows.next()
    assert (row["code"], row["message"]) == ("empty_file", "The file is empty. (why)")
    assert (row["model"], row["predictions"]) == ("lite0@1", [])
