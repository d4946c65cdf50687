"""Jobs over the API: handed in, looked at, controlled, removed."""

import bz2
import gzip
import io
import json
import lzma
import resource
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow
import pytest
from fastapi.testclient import TestClient
from pyarrow.parquet import write_table

from producer.maintenance import JobMaintenance
from results_api.access import KeysRequired
from results_api.api_keys import digest_of, ending_of, make_key
from results_api.service.job_models import ESTIMATE
from shared.broker import InProcessBroker
from shared.errors import Code
from shared.items import Evidence, ItemState, JobState, Result, now
from shared.store.store import Grant, Store
from tests.contract.api import Surroundings, client_on, record_lists, services_on

_JOBS = "/v1/jobs"
_PARQUET = "application/vnd.apache.parquet"
_URLS = ["https://a.example/1.jpg", "https://a.example/2.jpg", "https://b.example/3.jpg"]


def _type(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["type"]


def _submit(api: TestClient, urls: list[Any] = _URLS, key: str | None = None, **more: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    answer = api.post(_JOBS, json={"urls": urls, **more}, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer


def _refs(store: Store, job_id: int) -> list[tuple[str, str | None]]:
    return [(item.ref, item.custom_id) for item in store.items.pending(job_id, 0, 100)]


def _end(store: Store, job_id: int, code: Code | None = None) -> None:
    """Give every item of a job a result, and complete it."""
    job = store.jobs.get(job_id)
    state = ItemState.FAILED if code else ItemState.SUCCEEDED
    labels: dict[str, Any] = {} if code else {"class_ids": (0,), "scores": (0.9,)}
    store.results.save(
        Result(job_id, item.index, state, datetime.now(UTC), 1, job.model_id, code=code, **labels)
        for item in store.items.pending(job_id, 0, 100)
    )
    assert store.jobs.complete(job_id)


@pytest.mark.both_databases
def test_a_job_is_taken_in_and_then_recorded(api: TestClient, store: Store) -> None:
    ids = (
        {"url": f"https://c.example/{number}.jpg", "id": one} for number, one in enumerate(("mine", 7, 7.5))
    )
    answer = _submit(api, [*_URLS, *ids], name="spring")
    job = answer.json()["data"]
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert (answer.json()["meta"]["code"], job["state"], job["submitted"]) == (202, "submitting", 0)
    record_lists(store)
    job = api.get(answer.headers["Location"]).json()["data"]
    assert (job["state"], job["submitted"], job["recorded"], job["name"]) == ("running", 6, True, "spring")
    assert job["counts"]["pending"] == 6
    assert [custom_id for _, custom_id in _refs(store, job["id"])] == [None, None, None, "mine", "7", "7.5"]


def test_what_holds_no_url_is_told_by_its_line(api: TestClient, store: Store) -> None:
    job_id = _submit(api, ["a/path.jpg", _URLS[0], "", "ftp://x/y"]).json()["data"]["id"]
    record_lists(store)
    job = api.get(f"{_JOBS}/{job_id}").json()["data"]
    assert (job["submitted"], job["malformed"]["count"]) == (1, 3)
    assert [one["line"] for one in job["malformed"]["lines"]] == [1, 3, 4]


_LISTS = {
    "text/plain": "\n".join(_URLS).encode(),
    "text/csv": b"url,mine\n" + b"".join(f"{url},{i}\n".encode() for i, url in enumerate(_URLS)),
    "text/tab-separated-values": b"url\n" + "\n".join(_URLS).encode(),
    "application/x-ndjson": b"".join(json.dumps({"url": url}).encode() + b"\n" for url in _URLS),
}


@pytest.mark.parametrize("kind", _LISTS)
@pytest.mark.parametrize(
    ("encoding", "pack"),
    [(None, bytes), ("gzip", gzip.compress), ("xz", lzma.compress)],
    ids=["plain", "gzip", "xz"],
)
def test_a_list_comes_as_the_body(
    api: TestClient, store: Store, kind: str, encoding: str | None, pack: Callable[[bytes], bytes]
) -> None:
    content = pack(_LISTS[kind])
    headers = {"Content-Type": f"{kind}; charset=utf-8"} | (
        {"Content-Encoding": encoding} if encoding else {}
    )
    pieces = (content[i : i + 7] for i in range(0, len(content), 7))
    answer = api.post(_JOBS, content=pieces, headers=headers, params={"name": "list"})
    assert answer.status_code == 202, answer.text
    record_lists(store)
    assert [ref for ref, _ in _refs(store, answer.json()["data"]["id"])] == _URLS


def test_a_list_comes_as_the_file_of_a_form(api: TestClient, store: Store) -> None:
    form = {"id_column": "mine", "name": "form", "priority": "high"}
    answer = api.post(_JOBS, data=form, files={"whatever": ("List.CSV", _LISTS["text/csv"])})
    job = answer.json()["data"]
    assert (job["name"], job["priority"]) == ("form", "high")
    record_lists(store)
    assert _refs(store, job["id"]) == [(url, str(i)) for i, url in enumerate(_URLS)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.tab", b"url\n" + "\n".join(_URLS).encode()),
        ("list.lst.bz2", bz2.compress("\n".join(_URLS).encode())),
        ("List.NDJSON", "\n".join(map(json.dumps, _URLS)).encode()),
        ("list.json.gz", gzip.compress(json.dumps([{"url": url} for url in _URLS], indent=1).encode())),
    ],
    ids=["tab", "lst.bz2", "NDJSON", "json.gz"],
)
def test_a_file_of_a_form_may_have_any_name_of_its_format(
    api: TestClient, store: Store, name: str, content: bytes
) -> None:
    answer = api.post(_JOBS, files={"list": (name, content)})
    record_lists(store)
    assert [ref for ref, _ in _refs(store, answer.json()["data"]["id"])] == _URLS


def test_no_line_of_a_table_is_lost_to_a_lone_quote(api: TestClient, store: Store) -> None:
    texts = ('"best day', "plain", '15"')
    rows = [f"{text}\t{url}\n" for text, url in zip(texts, _URLS, strict=True)]
    content = "".join(["caption\turl\n", *rows, '"broken\n', '"//b"\t//b.example/1.jpg\n']).encode()
    answer = api.post(_JOBS, content=content, headers={"Content-Type": "text/tab-separated-values"})
    record_lists(store)
    job = api.get(answer.headers["Location"]).json()["data"]
    assert [ref for ref, _ in _refs(store, job["id"])] == _URLS
    assert [(one["line"], one["lines"]) for one in job["malformed"]["lines"]] == [(5, 1), (6, 1)]
    assert job["malformed"]["lines"][1]["reason"].startswith("url_not_allowed: ")


def test_a_parquet_file_with_a_column_of_ones_choice(api: TestClient, store: Store) -> None:
    stream = io.BytesIO()
    write_table(pyarrow.table({"image": _URLS}), stream)
    headers = {"Content-Type": _PARQUET}
    answer = api.post(_JOBS, content=stream.getvalue(), headers=headers, params={"column": "image"})
    record_lists(store)
    assert [ref for ref, _ in _refs(store, answer.json()["data"]["id"])] == _URLS


@pytest.mark.parametrize(
    ("content", "kind", "params", "code"),
    [
        (b"a,b\n1,2\n", "text/csv", {}, "column_unknown"),
        (b"no parquet", _PARQUET, {}, "source_unreadable"),
        (b"\n\nnothing\n", "text/plain", {}, "nothing_to_label"),
        (b"", "text/plain", {}, "nothing_to_label"),
    ],
)
def test_a_list_that_cannot_be_read_fails_its_job(
    api: TestClient, store: Store, content: bytes, kind: str, params: dict[str, str], code: str
) -> None:
    answer = api.post(_JOBS, content=content, headers={"Content-Type": kind}, params=params)
    record_lists(store)
    _tend(store)
    job = api.get(answer.headers["Location"]).json()["data"]
    assert (job["state"], job["submitted"]) == ("failed", 0)
    assert code in job["reason"] or Code(code).sentence in job["reason"]
    assert "/tmp" not in job["reason"]


def test_a_list_that_breaks_half_way_leaves_nothing_open(api: TestClient, store: Store) -> None:
    whole = gzip.compress("\n".join(f"https://a.example/{i}.jpg" for i in range(5000)).encode())
    headers = {"Content-Type": "text/plain", "Content-Encoding": "gzip"}
    answer = api.post(_JOBS, content=whole[:-200], headers=headers)
    record_lists(store)
    _tend(store)
    job = api.get(answer.headers["Location"]).json()["data"]
    assert job["state"] == "failed"
    assert sum(job["counts"].values()) == job["submitted"]
    assert job["counts"]["pending"] == 0


def test_what_unpacks_to_too_much_is_refused(api: TestClient, store: Store) -> None:
    stream = io.BytesIO()
    write_table(pyarrow.table({"url": ["https://a.example/" + "x" * 100] * 30_000}), stream)
    gzipped = {"Content-Type": "text/plain", "Content-Encoding": "gzip"}
    answers = [
        api.post(_JOBS, content=gzip.compress(b"\n" * 3_000_000), headers=gzipped),
        api.post(_JOBS, content=stream.getvalue(), headers={"Content-Type": _PARQUET}),
    ]
    record_lists(store, max_bytes=1_000_000)
    _tend(store)
    for answer in answers:
        job = api.get(answer.headers["Location"]).json()["data"]
        assert (job["state"], "1000000 bytes" in job["reason"]) == ("failed", True)


def test_bytes_of_a_list_are_counted(store: Store) -> None:
    with client_on(services_on(store, list_bytes=1000)) as client:
        text = {"Content-Type": "text/plain"}
        assert _type(client.post(_JOBS, content=b"x" * 1001, headers=text)) == (413, "body_too_large")
        form = {"file": ("a.txt", b"x" * 100_000)}
        assert _type(client.post(_JOBS, files=form)) == (413, "body_too_large")
    assert store.jobs.newest(None, 10) == []


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file of this process grows beyond three megabytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_disk")
def test_a_list_for_which_there_is_no_room_is_to_come_again(api: TestClient, store: Store) -> None:
    content = b"http://a.example/\n" * 300_000
    for sent in (
        {"content": content, "headers": {"Content-Type": "text/plain"}},
        {"files": {"file": ("a.txt", content)}},
        {"json": {"urls": ["http://a.example/" + "x" * 100] * 50_000}},
    ):
        answer = api.post(_JOBS, **sent)
        assert _type(answer) == (503, "disk_full")
        assert int(answer.headers["Retry-After"]) > 0
    assert store.jobs.newest(None, 10) == []


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"json": {"urls": []}}, (422, "request_invalid")),
        ({"json": {"urls": "http://a/"}}, (422, "request_invalid")),
        ({"json": {"urls": ["http://a/"], "max_failure_rate": 2}}, (422, "request_invalid")),
        ({"json": {"urls": ["http://a/"], "priority": "now"}}, (422, "request_invalid")),
        ({"json": {"urls": ["http://a/"], "name": "a\nb"}}, (422, "request_invalid")),
        ({"json": {"urls": ["http://a/"], "what": 1}}, (422, "request_invalid")),
        ({"json": {"urls": ["http://a/"], "model": "nope"}}, (422, "model_unknown")),
        (
            {"json": {"urls": ["http://a/"], "webhook": {"url": "http://a.example/"}}},
            (422, "webhook_invalid"),
        ),
        (
            {"json": {"urls": ["http://a/"], "webhook": {"url": "https://10.0.0.1/"}}},
            (422, "webhook_invalid"),
        ),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, (422, "request_invalid")),
        ({"content": b"x", "headers": {"Content-Type": "image/png"}}, (415, "media_type_unsupported")),
        ({"content": b"x"}, (415, "media_type_unsupported")),
        (
            {"content": b"x", "headers": {"Content-Type": "text/csv", "Content-Encoding": "br"}},
            (415, "media_type_unsupported"),
        ),
        ({"files": {"file": ("a.warc.gz", b"x")}}, (415, "media_type_unsupported")),
        ({"data": {"name": "x"}, "files": {}}, (415, "media_type_unsupported")),
        ({"params": {"sample": 0}, "json": {"urls": ["http://a/"]}}, (422, "request_invalid")),
    ],
)
def test_what_is_not_as_it_should_be_is_refused(
    api: TestClient, store: Store, request_: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert _type(api.post(_JOBS, **request_)) == expected
    assert store.jobs.newest(None, 10) == []


@pytest.mark.both_databases
def test_the_same_key_finds_the_same_job(api: TestClient) -> None:
    first = _submit(api, key="k1")
    again = _submit(api, key="k1")
    assert again.json()["data"]["id"] == first.json()["data"]["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert _submit(api, key="k2").json()["data"]["id"] != first.json()["data"]["id"]
    other = api.post(_JOBS, json={"urls": ["http://other/"]}, headers={"Idempotency-Key": "k1"})
    assert _type(other) == (409, "key_taken")
    found = api.get(_JOBS, params={"idempotency_key": "k1"}).json()
    assert [job["id"] for job in found["data"]] == [first.json()["data"]["id"]]
    assert api.get(_JOBS, params={"idempotency_key": "never"}).json()["data"] == []


@pytest.mark.both_databases
def test_many_requests_with_one_key_make_one_job(api: TestClient) -> None:
    ids: list[int] = []
    threads = [
        threading.Thread(target=lambda: ids.append(_submit(api, key="same").json()["data"]["id"]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 8
    assert len(set(ids)) == 1


@pytest.mark.both_databases
def test_a_dry_run_records_nothing(api: TestClient, store: Store) -> None:
    answer = api.post(_JOBS, json={"urls": _URLS}, params={"dry_run": "true", "sample": 2})
    found = answer.json()["data"]
    assert (answer.status_code, found["references"], found["sampled"]) == (200, 3, 2)
    assert found.keys() == ESTIMATE.keys()
    assert store.jobs.newest(None, 10) == []


def test_a_webhook_shows_its_secret_to_whoever_hands_in_the_job_only(api: TestClient) -> None:
    answer = _submit(api, key="k", webhook={"url": "https://hooks.example.com/x"})
    told = answer.json()["data"]["webhook"]
    assert told["secret"].startswith("whsec_")
    assert (told["state"], told["attempts"]) == ("pending", 0)
    again = _submit(api, key="k", webhook={"url": "https://hooks.example.com/x"})
    assert again.json()["data"]["webhook"]["secret"] == told["secret"]
    later = api.get(answer.headers["Location"]).json()["data"]["webhook"]
    assert "secret" not in later


@pytest.mark.both_databases
def test_jobs_are_listed_the_newest_first_page_by_page(api: TestClient) -> None:
    ids = [_submit(api, key=f"k{i}").json()["data"]["id"] for i in range(5)]
    seen, cursor = [], None
    while True:
        answer = api.get(_JOBS, params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [job["id"] for job in answer["data"]]
        cursor = answer["meta"]["next_cursor"]
        if cursor is None:
            break
    assert seen == ids[::-1]
    for wrong in ("x", "MQ,", "e30", "LTk5OTk5OTk5OTk5OTk5OTk5OTk5"):
        assert _type(api.get(_JOBS, params={"cursor": wrong})) == (400, "cursor_invalid")


@pytest.mark.both_databases
def test_a_poller_is_told_only_what_is_new(api: TestClient, store: Store) -> None:
    where = _submit(api).headers["Location"]
    record_lists(store)
    first = api.get(where)
    assert int(first.headers["Retry-After"]) >= 1
    same = api.get(where, headers={"If-None-Match": first.headers["ETag"]})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert "Retry-After" in same.headers
    _end(store, first.json()["data"]["id"])
    changed = api.get(where, headers={"If-None-Match": f'"x", W/{first.headers["ETag"]}'})
    assert (changed.status_code, changed.json()["data"]["state"]) == (200, "completed")
    assert changed.json()["data"]["counts"]["succeeded"] == 3
    assert "Retry-After" not in changed.headers
    assert api.get(where, headers={"If-None-Match": "*"}).status_code == 304


def test_how_fast_it_goes_is_told(api: TestClient, store: Store) -> None:
    job_id = _submit(api).json()["data"]["id"]
    record_lists(store)
    store.jobs.note_rate(job_id, 0.5)
    job = api.get(f"{_JOBS}/{job_id}").json()["data"]
    assert (job["rate"], job["seconds_left"]) == (0.5, 6.0)


def _put_off(store: Store, job_id: int, *indexes: int) -> None:
    model_id, evidence = store.jobs.get(job_id).model_id, Evidence(host="x.example", http_status=500)
    for index in indexes:
        failure = Result(
            job_id, index, ItemState.FAILED, now(), 1, model_id, code=Code.HTTP_5XX, evidence=evidence
        )
        store.retries.add(failure, 100, 1000)


def test_what_waits_for_another_attempt_is_told_and_counts_for_no_rate(api: TestClient, store: Store) -> None:
    job_id = _submit(api).json()["data"]["id"]
    record_lists(store)
    store.jobs.note_rate(job_id, 0.5)
    store.workers.note("a worker", None)
    _put_off(store, job_id, 0, 1)
    answer = api.get(f"{_JOBS}/{job_id}")
    job, waiting = answer.json()["data"], answer.json()["data"]["waiting"]
    assert (job["seconds_left"], job["has_worker"]) == (2.0, True)
    assert (waiting["count"], waiting["is_all"]) == (2, True)
    assert [(one["host"], one["code"], one["count"]) for one in waiting["groups"]] == [
        ("x.example", "http_5xx", 2)
    ]
    assert waiting["groups"][0]["next_at"] == waiting["next_at"] < waiting["ends_by"]
    again = api.get(f"{_JOBS}/{job_id}", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304, "it changes with every look"
    _put_off(store, job_id, 2)
    answer = api.get(f"{_JOBS}/{job_id}")
    assert answer.json()["data"]["seconds_left"] is None
    assert 1 < int(answer.headers["Retry-After"]) <= 5, "a twentieth of what is left"
    store.workers.remove("a worker")
    assert not api.get(f"{_JOBS}/{job_id}").json()["data"]["has_worker"]


def test_what_waits_can_be_given_up(api: TestClient, store: Store) -> None:
    job_id = _submit(api).json()["data"]["id"]
    record_lists(store)
    _put_off(store, job_id, 0, 1)
    job = api.post(f"{_JOBS}/{job_id}/give-up").json()["data"]
    assert (job["given_up"], job["waiting"], job["counts"]["failed"], job["counts"]["pending"]) == (
        2,
        None,
        2,
        1,
    )
    assert job["codes"][0]["code"] == "http_5xx"
    assert api.post(f"{_JOBS}/{job_id}/give-up").json()["data"]["given_up"] == 0
    _end(store, job_id)
    assert _type(api.post(f"{_JOBS}/{job_id}/give-up")) == (409, "job_not_ready")


def test_a_job_that_is_not_there(api: TestClient) -> None:
    for method, path in (
        *(("GET", ""), ("DELETE", "")),
        *(("POST", "/cancel"), ("POST", "/resume"), ("POST", "/retry"), ("POST", "/give-up")),
    ):
        assert _type(api.request(method, f"{_JOBS}/99{path}")) == (404, "job_unknown")
    for wrong in ("0", "-1", "x", str(2**63)):
        assert _type(api.get(f"{_JOBS}/{wrong}")) == (422, "request_invalid")


@pytest.mark.both_databases
def test_a_cancelled_job_keeps_what_was_done(api: TestClient, store: Store) -> None:
    job_id = _submit(api).json()["data"]["id"]
    record_lists(store)
    answer = api.post(f"{_JOBS}/{job_id}/cancel")
    assert (answer.status_code, answer.json()["data"]["state"]) == (200, "cancelling")
    job = api.get(f"{_JOBS}/{job_id}").json()["data"]
    assert (job["state"], job["counts"]["cancelled"]) == ("cancelled", 3)
    assert api.post(f"{_JOBS}/{job_id}/cancel").json()["data"]["state"] == "cancelled"
    assert _type(api.post(f"{_JOBS}/{job_id}/retry")) == (409, "job_not_ready")


def test_a_job_cancelled_before_it_is_recorded_ends(api: TestClient, store: Store) -> None:
    job_id = _submit(api).json()["data"]["id"]
    api.post(f"{_JOBS}/{job_id}/cancel")
    record_lists(store)
    _tend(store)
    job = api.get(f"{_JOBS}/{job_id}").json()["data"]
    assert (job["state"], job["submitted"]) == ("cancelled", 0)


@pytest.mark.both_databases
def test_a_paused_job_goes_on(api: TestClient, store: Store) -> None:
    job_id = _submit(api, max_failure_rate=0.1).json()["data"]["id"]
    record_lists(store)
    assert _type(api.post(f"{_JOBS}/{job_id}/resume")) == (409, "job_not_ready")
    store.jobs.pause(job_id, "too many fail")
    assert api.get(f"{_JOBS}/{job_id}").json()["data"]["reason"] == "too many fail"
    answer = api.post(f"{_JOBS}/{job_id}/resume", json={"max_failure_rate": 0.5})
    job = answer.json()["data"]
    assert (job["state"], job["max_failure_rate"], job["reason"]) == ("running", 0.5, "")
    assert _type(api.post(f"{_JOBS}/{job_id}/resume", json={"max_failure_rate": 3})) == (
        *(422, "request_invalid"),
    )


@pytest.mark.both_databases
def test_failures_are_tried_again_by_their_code(api: TestClient, store: Store) -> None:
    job_id = _submit(api).json()["data"]["id"]
    record_lists(store)
    _end(store, job_id, Code.HTTP_404)
    none = api.post(f"{_JOBS}/{job_id}/retry").json()["data"]
    assert (none["retried"], none["state"]) == (0, "completed")
    some = api.post(f"{_JOBS}/{job_id}/retry", json={"codes": ["http_404"]}).json()["data"]
    assert (some["retried"], some["state"], some["counts"]["pending"]) == (3, "running", 3)
    wrong = api.post(f"{_JOBS}/{job_id}/retry", json={"codes": ["nope"]})
    assert _type(wrong) == (422, "request_invalid")


@pytest.mark.both_databases
def test_a_job_that_is_over_can_be_removed_for_good(api: TestClient, store: Store) -> None:
    job_id = _submit(api, key="k").json()["data"]["id"]
    record_lists(store)
    assert _type(api.delete(f"{_JOBS}/{job_id}")) == (409, "job_not_ready")
    _end(store, job_id)
    answer = api.delete(f"{_JOBS}/{job_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert _type(api.get(f"{_JOBS}/{job_id}")) == (404, "job_unknown")
    assert store.results.outcomes(job_id, -1, 10) == []
    assert store.jobs.active() == []
    assert _submit(api, key="k").json()["data"]["id"] != job_id


@pytest.fixture
def two_keys(store: Store) -> Iterator[tuple[TestClient, dict[str, str], dict[str, str], dict[str, str]]]:
    """A service that wants keys, and the headers of two users and of an administrator."""
    headers = []
    for scopes in (("submit", "read"), ("submit", "read"), ("admin",)):
        key = make_key()
        store.keys.add(
            digest_of(key), ending_of(key), Grant("x", scopes, rate=1000, burst=1000, images_per_day=5)
        )
        headers.append({"Authorization": f"Bearer {key}"})
    with client_on(services_on(store, Surroundings(wanted=KeysRequired.ALWAYS))) as client:
        yield client, headers[0], headers[1], headers[2]


@pytest.mark.both_databases
def test_a_job_belongs_to_its_key(two_keys: Any, store: Store) -> None:
    client, mine, theirs, admin = two_keys
    job_id = client.post(_JOBS, json={"urls": _URLS}, headers=mine).json()["data"]["id"]
    where = f"{_JOBS}/{job_id}"
    assert client.get(where, headers=mine).status_code == 200
    assert client.get(where, headers=admin).status_code == 200
    assert _type(client.get(where, headers=theirs)) == (404, "job_unknown")
    assert _type(client.post(f"{where}/cancel", headers=theirs)) == (404, "job_unknown")
    assert _type(client.delete(where, headers=theirs)) == (404, "job_unknown")
    assert client.get(_JOBS, headers=theirs).json()["data"] == []
    assert [job["id"] for job in client.get(_JOBS, headers=admin).json()["data"]] == [job_id]
    assert _type(client.get(where)) == (401, "key_missing")


def test_two_keys_may_use_the_same_idempotency_key(two_keys: Any) -> None:
    client, mine, theirs, _ = two_keys
    same = {"Idempotency-Key": "k"}
    first = client.post(_JOBS, json={"urls": _URLS}, headers=mine | same).json()["data"]["id"]
    second = client.post(_JOBS, json={"urls": ["http://z/"]}, headers=theirs | same).json()["data"]["id"]
    assert first != second


@pytest.mark.both_databases
def test_a_list_beyond_the_quota_is_not_recorded(two_keys: Any, store: Store) -> None:
    client, mine, _, _ = two_keys
    first = client.post(_JOBS, json={"urls": _URLS}, headers=mine).json()["data"]["id"]
    second = client.post(_JOBS, json={"urls": [*_URLS, "http://z/"]}, headers=mine).json()["data"]["id"]
    record_lists(store)
    _tend(store)
    assert client.get(f"{_JOBS}/{first}", headers=mine).json()["data"]["submitted"] == 3
    job = client.get(f"{_JOBS}/{second}", headers=mine).json()["data"]
    assert (job["state"], job["submitted"]) == ("failed", 0)
    assert Code.QUOTA_EXCEEDED.sentence in job["reason"]


def test_who_has_all_jobs_open_finds_those_again_but_opens_no_more(store: Store) -> None:
    key = make_key()
    store.keys.add(
        digest_of(key), ending_of(key), Grant("x", ("submit",), rate=1000, burst=1000, open_jobs=1)
    )
    shown = {"Authorization": f"Bearer {key}", "Idempotency-Key": "k"}
    with client_on(services_on(store, Surroundings(wanted=KeysRequired.ALWAYS))) as client:
        first, again = (client.post(_JOBS, json={"urls": _URLS}, headers=shown) for _ in range(2))
        assert (again.status_code, again.json()["data"]["id"]) == (202, first.json()["data"]["id"])
        shown["Idempotency-Key"] = "another"
        assert _type(client.post(_JOBS, json={"urls": _URLS}, headers=shown)) == (429, "quota_exceeded")


def test_a_dry_run_counts_against_the_quota(two_keys: Any) -> None:
    client, mine, _, _ = two_keys
    for sample, status in ((6, 429), (5, 200), (1, 429)):
        params = {"dry_run": "true", "sample": sample}
        assert client.post(_JOBS, json={"urls": _URLS}, headers=mine, params=params).status_code == status


@pytest.mark.both_databases
def test_two_replicas_see_the_same(store: Store) -> None:
    with client_on(services_on(store)) as one, client_on(services_on(store)) as other:
        where = _submit(one).headers["Location"]
        assert other.get(where).json()["data"]["state"] == JobState.SUBMITTING
        record_lists(store)
        other.post(f"{where}/cancel")
        assert one.get(where).json()["data"]["state"] == JobState.CANCELLED


@pytest.mark.both_databases
def test_many_pollers_at_the_same_time(api: TestClient, store: Store) -> None:
    where = _submit(api).headers["Location"]
    record_lists(store)
    tag = api.get(where).headers["ETag"]
    statuses: list[int] = []

    def poll() -> None:
        statuses.extend(api.get(where, headers={"If-None-Match": tag}).status_code for _ in range(20))

    threads = [threading.Thread(target=poll) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [304] * 160


def _tend(store: Store) -> None:
    """Do once what workers do for all jobs."""
    JobMaintenance(store, InProcessBroker(), 1000, 5).maintain(store.jobs.active())
