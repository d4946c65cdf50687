"""The results of a job over HTTP: in every form, by every filter, whole and in parts."""

import asyncio
import csv
import io
import json
import tracemalloc
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import replace
from typing import Any, cast

import pytest
from fastapi.testclient import TestClient
from pyarrow import parquet

from results_api.access import Access
from results_api.api_keys import Caller, Scope
from results_api.cursors import decode_cursor, encode_cursor
from results_api.encoders import Csv, Encoder, JsonLines, Parquet
from results_api.exports import stream, write_results
from results_api.rows import all_rows
from results_api.service.app import make_app
from results_api.service.services import Services
from shared import actions
from shared.errors import Code, SmartSightError
from shared.items import Evidence, Item, ItemState, Result, now
from shared.store.database import Database
from shared.store.result_columns import COLUMNS, NAMES
from shared.store.search import BEGINNING, FoundColumns, Search
from shared.store.store import Filter, Job, RecordedModel, Store
from shared.times import time_text
from tests.contract.api import client_on, services_on
from tests.contract.races import ChangingStore
from tests.filling import multiply
from tests.servers.waiting import wait_until

_HOSTILE = (
    "plain.jpg",
    'quotes ", commas , and \\ backslashes.jpg',
    "=HYPERLINK(A1)",
    "+1-1",
    "@sum",
    "-2",
    "two\r\nlines\n",
    "tab\tand\x01control",
    "café 🍕 \u2028 %s %d {x}",
    "</script>",
)
_COUNT = len(_HOSTILE)
_FORMATS = ("json", "ndjson", "csv", "parquet")


def _result(job: Job, index: int, text: str) -> Result:
    time = now()
    if index % 5 == 4:
        evidence = Evidence(host="b.example")
        state, code = ItemState.FAILED, Code.HTTP_404
        return Result(job.id, index, state, time, 1, job.model_id, (), (), code, text[:2], evidence)
    evidence = Evidence(640, 480, "JPEG", 10, "0a" * 32, "a.example", text, 200, 104.98, 9.1)
    labels = ((1, 0), (0.75, 1e-05)) if index % 2 else ((0,), (1.0,))
    state = ItemState.SUCCEEDED
    return Result(job.id, index, state, time, 2, job.model_id, *labels, evidence=evidence, reused=index == 3)


@pytest.fixture
def model(store: Store) -> RecordedModel:
    return store.models.record("lite0", "1", [("n1", 'cat "big", wild'), ("n2", "dog, chien 🐶")])


@pytest.fixture
def full(store: Store, job: Job) -> Job:
    """A job that is over."""
    store.items.add(
        [Item(job.id, index, text, text if index % 2 else None) for index, text in enumerate(_HOSTILE)]
    )
    store.results.save([_result(job, index, text) for index, text in enumerate(_HOSTILE)])
    store.jobs.mark_recorded(job.id)
    store.jobs.complete(job.id)
    return store.jobs.get(job.id)


def _rows_of_csv(content: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for row in csv.DictReader(io.StringIO(content.decode(), newline="")):
        values: dict[str, Any] = {name: text or None for name, text in row.items()}
        numbers = [column for column in COLUMNS if column.type in (int, float) and row[column.name]]
        values |= {column.name: column.type(row[column.name]) for column in numbers}
        rows.append(values | {name: json.loads(row[name]) for name in ("predictions", "reused")})
    return rows


def _rows_of_parquet(content: bytes) -> list[dict[str, Any]]:
    rows = parquet.read_table(io.BytesIO(content)).to_pylist()
    return [row | {"finished_at": time_text(row["finished_at"])} for row in rows]


_READERS: dict[str, Callable[[bytes], list[dict[str, Any]]]] = {
    "json": lambda content: json.loads(content)["data"],
    "ndjson": lambda content: [json.loads(line) for line in content.decode().split("\n")[:-1]],
    "csv": _rows_of_csv,
    "parquet": lambda content: _rows_of_parquet(content),
}


def _get(api: TestClient, job: Job, **query: Any) -> list[dict[str, Any]]:
    answer = api.get(f"/v1/jobs/{job.id}/results", params=query)
    assert answer.status_code == 200, answer.text
    return _READERS[query.get("format", "json")](answer.content)


def _expected(store: Store, job: Job) -> list[dict[str, Any]]:
    """Return the rows that the commands give."""
    (rows,) = all_rows(store, job, Filter())
    return [row | {"cursor": encode_cursor(row["index"])} for row in rows]


@pytest.mark.both_databases
@pytest.mark.parametrize("format", _FORMATS)
def test_each_form_holds_the_rows_that_the_commands_give(
    api: TestClient, store: Store, full: Job, model: RecordedModel, format: str
) -> None:
    rows = _get(api, full, format=format)
    assert rows == _expected(store, full)
    assert [row["ref"] for row in rows] == list(_HOSTILE)
    assert list(rows[0]) == [*NAMES, "cursor"]
    assert rows[0]["finished_at"].endswith("Z")


@pytest.mark.parametrize("format", _FORMATS)
def test_the_best_class_has_columns_of_its_own(api: TestClient, full: Job, format: str) -> None:
    rows = _get(api, full, format=format)
    best = [(row["predictions"] or [{"class": None, "score": None}])[0] for row in rows]
    assert [(row["top_class"], row["top_score"]) for row in rows] == [
        (one["class"], one["score"]) for one in best
    ]
    assert {row["top_class"] for row in rows} == {'cat "big", wild', "dog, chien 🐶", None}


def test_cells_are_the_same_as_in_a_file_of_the_commands(
    api: TestClient, store: Store, full: Job, model: RecordedModel, tmp_path: Any
) -> None:
    """What strangers wrote is data: no cell is changed, whatever a spreadsheet would make of it."""
    path = tmp_path / "out.csv"
    write_results(store, full, Filter(), str(path))
    answer = api.get(f"/v1/jobs/{full.id}/results?format=csv")
    table = list(csv.reader(io.StringIO(answer.content.decode(), newline="")))
    whole = list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))
    assert [row[:-1] for row in table] == whole


@pytest.mark.parametrize(
    ("accept", "query", "kind"),
    [
        (None, "", "application/json"),
        ("*/*", "", "application/json"),
        ("application/x-ndjson", "", "application/x-ndjson"),
        ("text/csv", "", "text/csv; charset=utf-8"),
        ("application/vnd.apache.parquet", "", "application/vnd.apache.parquet"),
        ("text/html", "?format=csv", "text/csv; charset=utf-8"),
        ("text/csv", "?format=json", "application/json"),
    ],
)
def test_the_query_beats_the_header(
    api: TestClient, full: Job, accept: str | None, query: str, kind: str
) -> None:
    headers = {} if accept is None else {"Accept": accept}
    answer = api.get(f"/v1/jobs/{full.id}/results{query}", headers=headers)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)


def test_streams_have_a_file_name_and_tell_whether_the_job_is_over(api: TestClient, full: Job) -> None:
    answer = api.get(f"/v1/jobs/{full.id}/results?format=csv")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="job-{full.id}-results.csv"'
    assert answer.headers["SmartSight-Complete"] == "true"


_FILTERS: dict[str, tuple[dict[str, str], Callable[[dict[str, Any]], bool]]] = {
    "state": ({"state": "failed"}, lambda row: row["state"] == "failed"),
    "code": ({"code": "http_404"}, lambda row: row["code"] == "http_404"),
    "class by word": ({"class": "DOG"}, lambda row: row["predictions"][:1] and row["index"] % 2 == 1),
    "class by id": ({"class": "n1"}, lambda row: row["predictions"] and row["index"] % 2 == 0),
    "class by number": ({"class": "1"}, lambda row: row["predictions"] and row["index"] % 2 == 1),
    "min_score": ({"min_score": "0.75"}, lambda row: bool(row["predictions"])),
    "higher min_score": ({"min_score": "0.76"}, lambda row: row["predictions"] and row["index"] % 2 == 0),
    "host": ({"host": "B.Example"}, lambda row: row["host"] == "b.example"),
    "two": ({"host": "a.example", "class": "cat"}, lambda row: row["predictions"] and row["index"] % 2 == 0),
    "none": ({"state": "skipped"}, lambda row: False),
}


@pytest.mark.parametrize("name", list(_FILTERS))
@pytest.mark.parametrize("format", _FORMATS)
def test_every_filter_works_in_every_form(
    api: TestClient, store: Store, full: Job, model: RecordedModel, name: str, format: str
) -> None:
    query, meets = _FILTERS[name]
    expected = [row for row in _expected(store, full) if meets(row)]
    assert _get(api, full, format=format, **query) == expected


def test_pages_add_up_to_the_whole(api: TestClient, full: Job) -> None:
    rows: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 3}
    for _ in range(_COUNT):
        body = api.get(f"/v1/jobs/{full.id}/results", params=query).json()
        rows += body["data"]
        assert len(body["data"]) <= 3
        query["cursor"] = body["meta"]["next_cursor"]
        if query["cursor"] is None:
            break
    assert rows == _get(api, full)
    assert body["meta"] == {"type": "success", "code": 200, "next_cursor": None, "complete": True}


@pytest.mark.both_databases
@pytest.mark.parametrize("format", _FORMATS)
def test_a_stream_goes_on_behind_the_row_whose_cursor_it_is_given(
    api: TestClient, full: Job, format: str
) -> None:
    whole = _get(api, full, format=format)
    for place, row in enumerate(whole):
        assert _get(api, full, format=format, cursor=row["cursor"]) == whole[place + 1 :]


@pytest.mark.both_databases
@pytest.mark.parametrize("format", _FORMATS)
def test_a_job_that_runs_gives_what_is_there_and_says_that_more_will_come(
    api: TestClient, store: Store, job: Job, format: str
) -> None:
    store.items.add([Item(job.id, index, text) for index, text in enumerate(_HOSTILE)])
    assert _get(api, job, format=format) == []
    store.results.save([_result(job, 1, "late.jpg")])
    assert [row["index"] for row in _get(api, job, format=format)] == [1]
    answer = api.get(f"/v1/jobs/{job.id}/results?format={format}")
    if format == "json":
        assert answer.json()["meta"] == {
            **{"type": "success", "code": 200, "next_cursor": None, "complete": False}
        }
    else:
        assert answer.headers["SmartSight-Complete"] == "false"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("cursor=nonsense", 400, Code.CURSOR_INVALID),
        (f"cursor={encode_cursor(1, 2)}", 400, Code.CURSOR_INVALID),
        (f"cursor={encode_cursor(2**63)}&format=csv", 400, Code.CURSOR_INVALID),
        ("class=platypus", 422, Code.CLASS_UNKNOWN),
        ("class=", 422, Code.REQUEST_INVALID),
        ("state=pending", 422, Code.REQUEST_INVALID),
        ("code=bad_luck", 422, Code.REQUEST_INVALID),
        ("min_score=2", 422, Code.REQUEST_INVALID),
        ("min_score=nan", 422, Code.REQUEST_INVALID),
        ("limit=0", 422, Code.REQUEST_INVALID),
        ("limit=1001", 422, Code.REQUEST_INVALID),
        ("format=xlsx", 422, Code.REQUEST_INVALID),
        ("host=%00", 422, Code.HOST_INVALID),
        ("host=/", 422, Code.HOST_INVALID),
        ("hots=a.example", 422, Code.REQUEST_INVALID),
    ],
)
def test_a_query_that_means_nothing_is_refused(
    api: TestClient, full: Job, query: str, status: int, code: Code
) -> None:
    answer = api.get(f"/v1/jobs/{full.id}/results?{query}")
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, code)


def test_a_form_that_there_is_not_is_refused(api: TestClient, full: Job) -> None:
    answer = api.get(f"/v1/jobs/{full.id}/results", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (406, Code.NOT_ACCEPTABLE)


@pytest.mark.both_databases
@pytest.mark.parametrize("path", ["results", "results?format=csv", "summary"])
def test_the_job_of_another_is_not_there(store: Store, full: Job, path: str) -> None:
    class Stranger:
        async def admit(self, *_: object) -> Caller:
            return Caller(7, frozenset([Scope.READ]))

    with client_on(replace(services_on(store), access=cast(Access, Stranger()))) as api:
        answer = api.get(f"/v1/jobs/{full.id}/{path}")
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, Code.JOB_UNKNOWN)


@pytest.mark.parametrize(("number", "status"), [("404", 404), (str(2**63), 422), ("x", 422), ("0", 422)])
@pytest.mark.parametrize("path", ["results", "summary"])
def test_a_job_that_there_is_not(api: TestClient, number: str, status: int, path: str) -> None:
    assert api.get(f"/v1/jobs/{number}/{path}").status_code == status


@pytest.mark.both_databases
def test_the_summary_counts_by_class_code_and_host(api: TestClient, full: Job) -> None:
    data = api.get(f"/v1/jobs/{full.id}/summary").json()["data"]
    assert data["states"] == {"succeeded": 8, "failed": 2}
    assert [(line["wordnet_id"], line["count"]) for line in data["classes"]] == [("n1", 4), ("n2", 4)]
    assert [(code["code"], code["count"], code["hosts"]) for code in data["codes"]] == [("http_404", 2, 1)]
    assert [(cause["host"], cause["count"]) for cause in data["causes"]] == [("b.example", 2)]
    assert data["job"]["created_at"].endswith("Z")
    assert len(api.get(f"/v1/jobs/{full.id}/summary?top=1").json()["data"]["classes"]) == 1


@pytest.mark.parametrize("query", ["top=0", "top=101", "tip=1"])
def test_a_summary_has_an_end(api: TestClient, full: Job, query: str) -> None:
    answer = api.get(f"/v1/jobs/{full.id}/summary?{query}")
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, Code.REQUEST_INVALID)


_ENCODERS: dict[str, Callable[[bool], Encoder]] = {"ndjson": JsonLines, "csv": Csv, "parquet": Parquet}


@pytest.mark.both_databases
@pytest.mark.parametrize("format", list(_ENCODERS))
@pytest.mark.usefixtures("short_pages")
def test_a_stream_takes_no_more_memory_the_longer_it_is(
    store: Store, full: Job, database: Database, format: str
) -> None:
    multiply(database, full.id, 2000)
    chunks = stream(store, full, Filter(), BEGINNING, _ENCODERS[format](True))
    tracemalloc.start()
    try:
        sizes = [len(next(chunks)) for _ in range(2)]
        tracemalloc.reset_peak()
        early = sum(len(next(chunks)) for _ in range(6)), tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        late = sum(map(len, chunks)), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert late[0] > 5 * early[0]
    assert late[1] < 1.5 * early[1]
    assert max(sizes) < 4_000_000


def _delete(store: Store, job: Job) -> None:
    actions.delete(store, job)
    actions.remove_rest(store, job)


def _end_again(store: Store, job: Job) -> None:
    store.jobs.reopen(job.id)
    store.jobs.mark_recorded(job.id)
    assert store.jobs.complete(job.id)


_CHANGES: dict[str, tuple[Callable[[Store, Job], object], Code]] = {
    "deleted": (_delete, Code.JOB_UNKNOWN),
    "tried again": (lambda store, job: actions.retry(store, job, [Code.HTTP_404]), Code.JOB_CHANGED),
    "over once more": (_end_again, Code.JOB_CHANGED),
}


@pytest.mark.both_databases
@pytest.mark.parametrize("format", list(_ENCODERS))
@pytest.mark.parametrize("name", list(_CHANGES))
def test_a_stream_that_was_to_be_whole_has_no_end_if_its_job_changes(
    store: Store, full: Job, model: RecordedModel, database: Database, format: str, name: str
) -> None:
    multiply(database, full.id, 1000)
    change, code = _CHANGES[name]
    changing = ChangingStore(database, lambda: change(store, store.jobs.get(full.id)))
    pieces: list[bytes] = []
    with pytest.raises(SmartSightError) as caught:
        pieces += stream(changing, full, Filter(), BEGINNING, _ENCODERS[format](True))
    assert caught.value.code is code
    assert len(b"".join(pieces)) > 10_000
    assert not pieces[-1].endswith(b"PAR1"), "a file that looks whole"


@pytest.fixture
def running(store: Store, job: Job) -> Job:
    """A job of which every item has its result, but one."""
    store.items.add([Item(job.id, index, text) for index, text in enumerate(_HOSTILE)])
    store.jobs.mark_recorded(job.id)
    store.results.save([_result(job, index, text) for index, text in enumerate(_HOSTILE[:-1])])
    return store.jobs.get(job.id)


def _complete(store: Store, job: Job) -> None:
    store.results.save([_result(job, _COUNT - 1, "last.jpg")])
    assert store.jobs.complete(job.id)


@pytest.mark.both_databases
def test_a_stream_of_a_job_that_runs_ends_well_when_the_job_does(
    store: Store, running: Job, model: RecordedModel, database: Database
) -> None:
    changing = ChangingStore(database, lambda: _complete(store, running))
    whole = b"".join(stream(changing, running, Filter(), BEGINNING, JsonLines()))
    assert whole.count(b"\n") == _COUNT - 1
    assert store.jobs.get(running.id).state.is_over


@pytest.mark.both_databases
def test_a_stream_of_a_job_that_ran_has_no_end_if_it_is_deleted(
    store: Store, running: Job, model: RecordedModel, database: Database
) -> None:
    def change() -> None:
        _complete(store, running)
        _delete(store, running)

    with pytest.raises(SmartSightError) as caught:
        list(stream(ChangingStore(database, change), running, Filter(), BEGINNING, Parquet()))
    assert caught.value.code is Code.JOB_UNKNOWN


class _CountedSearch(Search):
    """Counts the pages that are read."""

    pages = 0

    def columns(self, job_id: int, wanted: Filter, after: int, limit: int) -> FoundColumns:
        self.pages += 1
        return super().columns(job_id, wanted, after, limit)


class _Leaver:
    """A client that reads two pieces and goes away."""

    def __init__(self) -> None:
        self._pieces = 0
        self._gone = asyncio.Event()
        self._asked: Iterator[dict[str, Any]] = iter([{"type": "http.request", "body": b""}])

    async def receive(self) -> dict[str, Any]:
        for message in self._asked:
            return message
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self._pieces += bool(message.get("body"))
        if self._pieces == 2:
            self._gone.set()
        await asyncio.sleep(0)


@pytest.mark.both_databases
@pytest.mark.parametrize("format", list(_ENCODERS))
def test_nothing_more_is_read_for_a_client_that_went_away(
    services: Services, full: Job, database: Database, format: str, short_pages: int
) -> None:
    multiply(database, full.id, short_pages)
    store = Store(database)
    store.search = search = _CountedSearch(database)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": f"/v1/jobs/{full.id}/results",
        "query_string": f"format={format}".encode(),
        "headers": [(b"host", b"localhost")],
    }
    client = _Leaver()
    app = make_app(replace(services_on(store), access=services.access))
    asyncio.run(app(scope, client.receive, client.send))
    assert 1 <= search.pages <= 4
    whole = Store(database)
    whole.search = counted = _CountedSearch(database)
    for _ in stream(whole, full, Filter(), BEGINNING, JsonLines()):
        pass
    assert counted.pages == _COUNT


@pytest.mark.both_databases
def test_no_connection_is_held_while_a_client_thinks(
    store: Store, full: Job, model: RecordedModel, database: Database
) -> None:
    multiply(database, full.id, 2000)
    chunks = stream(store, full, Filter(), BEGINNING, JsonLines())
    assert [len(next(chunks)) > 0 for _ in range(2)] == [False, True]
    wait_until(lambda: database._engine.pool.checkedout() == 0, 10, "the next page")  # type: ignore[attr-defined]


def test_a_cursor_is_the_index_of_its_row(api: TestClient, full: Job) -> None:
    assert [decode_cursor(row["cursor"], 1)[0] for row in _get(api, full)] == list(range(_COUNT))
