from results_api.rows import OrderedRows
from shared.errors import Code
from shared.items import Item, ItemState, Result, now
from shared.store.store import Outcome, RecordedModel

_MODEL = RecordedModel(1, "lite0", "1", [["n1", "cat"], ["n2", "dog"]])


class _Store:
    """Holds outcomes by index."""

    def __init__(self) -> None:
        self.indexes: set[int] = set()
        self.limits: list[int] = []
        self.results = self

    def outcomes(self, job_id: int, after: int, limit: int) -> list[Outcome]:
        self.limits.append(limit)
        there = sorted(index for index in self.indexes if index > after)[:limit]
        return [_outcome(job_id, index) for index in there]


def _outcome(job_id: int, index: int) -> Outcome:
    result = Result(job_id, index, ItemState.FAILED, now(), 1, 1, code=Code.EMPTY_FILE, detail="why")
    return Outcome(Item(job_id, index, f"{index}.jpg"), result)


def _next(rows: OrderedRows) -> list[int]:
    return [row["index"] for row in rows.next()]


def test_rows_come_in_order_each_as_soon_as_those_before_it_are_there() -> None:
    store = _Store()
    rows = OrderedRows(store, 1, _MODEL)
    assert _next(rows) == []
    store.indexes |= {0, 1, 3, 4}
    assert _next(rows) + _next(rows) == [0, 1]
    assert _next(rows) == []
    store.indexes.add(2)
    assert _next(rows) + _next(rows) == [2, 3, 4]


def test_while_one_item_is_missing_the_others_are_not_read_again_and_again() -> None:
    store = _Store()
    store.indexes = set(range(1, 400))
    rows = OrderedRows(store, 1, _MODEL)
    for _ in range(3):
        assert _next(rows) == []
    assert store.limits[1:] == [1, 1]


def test_a_row_explains_its_code() -> None:
    store = _Store()
    store.indexes = {0}
    (row,) = OrderedRows(store, 1, _MODEL).next()
    assert (row["code"], row["message"]) == ("empty_file", "The file is empty. (why)")
    assert (row["model"], row["predictions"]) == ("lite0@1", [])
