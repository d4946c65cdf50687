"""The Python client against a little HTTP server: what it asks for, and what it makes of the answers."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from api_client import Client, Estimate, Job
from api_client.responses import split_lines
from results_api.service.job_models import ESTIMATE, JOB
from shared.errors import Code, ItemError, RequestError, ResourceError, SmartSightError, UsageError
from shared.items import ItemState, JobState
from tests.servers.ports import free_port
from tests.servers.scripted_api import Scripted, ScriptedApi, failed, hung_up, late, ok, page, rows

_KEY = "ss_live_not_for_others"
_BUSY = {"type": "at_capacity", "message": Code.AT_CAPACITY.sentence}


def job_data(**changes: Any) -> dict[str, Any]:
    return {
        "id": 12,
        "name": "mine",
        "state": "running",
        "reason": "",
        "model": "lite0@1",
        "priority": "normal",
        "created_at": "2027-01-02T03:04:05Z",
        "finished_at": None,
        "submitted": 4,
        "recorded": True,
        "done": 3,
        "counts": {"pending": 1, "succeeded": 2, "failed": 1, "skipped": 0, "cancelled": 0},
        "codes": [{"code": "http_404", "state": "failed", "count": 1, "message": "Gone."}],
        "rate": 1.5,
        "seconds_left": 0.7,
        "max_failure_rate": None,
        "malformed": {"count": 1, "lines": [{"line": 5, "lines": 1, "reason": "not JSON"}]},
        "webhook": None,
        "links": {},
        "something_new": 1,
        **changes,
    }


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with closing(ScriptedApi()) as api:
        yield api


@pytest.fixture
def pauses() -> list[float]:
    """How long the client has waited, so far."""
    return []


@pytest.fixture
def client(api: ScriptedApi, pauses: list[float]) -> Iterator[Client]:
    with Client(api.url, _KEY, timeout=10, attempts=3, sleep=pauses.append) as client:
        yield client


def test_an_image_is_sent_as_it_is_and_its_classes_come_back(api: ScriptedApi, client: Client) -> None:
    data = [{"class": "pizza, pizza pie", "wordnet_id": "n07873807", "score": 0.88}]
    api.script = [ok(data)] * 3
    Path("pizza.jpg").write_bytes(b"picture")
    for image in (b"picture", Path("pizza.jpg")):
        (prediction,) = client.classify(image, top=1)
        assert (prediction.name, prediction.wordnet_id, prediction.score) == (
            "pizza, pizza pie",
            "n07873807",
            0.88,
        )
    client.classify("https://host.example/pizza.jpg")
    assert [seen.body for seen in api.seen[:2]] == [b"picture"] * 2
    assert [seen.query["top"] for seen in api.seen] == ["1", "1", "5"]
    assert json.loads(api.seen[2].body) == {"url": "https://host.example/pizza.jpg"}
    assert {seen.headers["Authorization"] for seen in api.seen} == {f"Bearer {_KEY}"}


def test_an_image_that_is_not_there_is_not_sent(client: Client) -> None:
    with pytest.raises(ItemError) as caught:
        client.classify(Path("missing.jpg"))
    assert caught.value.code is Code.FILE_NOT_FOUND


def test_a_job_is_read_as_it_is_told(api: ScriptedApi, client: Client) -> None:
    webhook = {"url": "https://me.example/", "state": "waiting", "attempts": 0, "secret": "whsec_mine"}
    api.script = [ok(job_data(webhook=webhook))]
    job = client.job(12)
    assert (job.id, job.state, job.model, job.recorded) == (12, JobState.RUNNING, "lite0@1", True)
    assert job.created_at.isoformat() == "2027-01-02T03:04:05+00:00"
    assert job.counts[ItemState.SUCCEEDED] == 2
    assert job.codes[0].code == "http_404"
    assert job.malformed.lines[0].line == 5
    assert job.webhook is not None
    assert job.webhook.secret == "whsec_mine"
    assert "whsec" not in repr(job)


@pytest.mark.parametrize(
    "trouble", [page(500), failed(503, **_BUSY), page(502), failed(429, **_BUSY), hung_up()]
)
def test_what_may_pass_is_tried_again_with_pauses(
    api: ScriptedApi, client: Client, pauses: list[float], trouble: Any
) -> None:
    api.script = [trouble, trouble, ok(job_data())]
    assert client.job(12).id == 12
    assert len(api.seen) == 3
    assert 0 <= pauses[0] <= 0.5
    assert 0 <= pauses[1] <= 1


def test_attempts_are_bounded_and_the_last_failure_is_told(
    api: ScriptedApi, client: Client, pauses: list[float]
) -> None:
    api.script = [failed(503, **_BUSY)] * 4
    with pytest.raises(RequestError) as caught:
        client.job(12)
    assert caught.value.code is Code.AT_CAPACITY
    assert (len(api.seen), len(pauses)) == (3, 2)


def test_retry_after_is_honoured_and_one_that_is_too_long_is_told(
    api: ScriptedApi, client: Client, pauses: list[float]
) -> None:
    api.script = [failed(429, "too_many_requests", "Slow.", Retry_After="7"), ok(job_data())]
    client.job(12)
    assert 7 <= pauses[0] <= 7.5
    api.script = [failed(429, "too_many_requests", "Slow.", Retry_After="86400")]
    with pytest.raises(RequestError) as caught:
        client.job(12)
    assert caught.value.retry_after == 86400
    assert len(pauses) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "job_unknown"), (401, "key_invalid"), (429, "quota_exceeded"), (413, "body_too_large")],
)
def test_what_will_not_pass_is_told_at_once(api: ScriptedApi, client: Client, status: int, code: str) -> None:
    sentence = Code(code).sentence
    api.script = [failed(status, code, f"{sentence} (job 12)", Retry_After="1")]
    with pytest.raises(RequestError) as caught:
        client.job(12)
    assert (caught.value.code, caught.value.detail) == (Code(code), "job 12")
    assert str(caught.value) == f"{sentence} (job 12)"


def test_what_changes_a_job_is_not_repeated_when_it_may_have_worked(api: ScriptedApi, client: Client) -> None:
    api.script = [hung_up()]
    with pytest.raises(RequestError) as caught:
        client.resume(12)
    assert caught.value.code is Code.API_UNAVAILABLE
    api.script = [failed(429, "too_many_requests", "Slow."), ok(job_data(retried=3))]
    assert client.retry(12, [Code.HTTP_404]).retried == 3
    assert json.loads(api.seen[-1].body) == {"codes": ["http_404"]}


def test_a_submission_is_repeated_under_the_same_key(api: ScriptedApi, client: Client) -> None:
    api.script = [hung_up(), page(500), ok(job_data(), 202)]
    job = client.submit(["https://h/1", ("https://h/2", "two")], name="mine", max_failure_rate=0.2)
    assert job.id == 12
    assert len({seen.headers["Idempotency-Key"] for seen in api.seen}) == 1
    assert json.loads(api.seen[2].body) == {
        "urls": ["https://h/1", {"url": "https://h/2", "id": "two"}],
        "name": "mine",
        "max_failure_rate": 0.2,
    }
    api.script = [ok(job_data(), 202), ok(job_data(), 202)]
    client.submit(["https://h/1"], webhook_url="https://me/", webhook_secret="whsec_x")
    client.submit(["https://h/1"], idempotency_key="of mine")
    assert json.loads(api.seen[3].body)["webhook"] == {"url": "https://me/", "secret": "whsec_x"}
    assert api.seen[3].headers["Idempotency-Key"] != api.seen[0].headers["Idempotency-Key"]
    assert api.seen[4].headers["Idempotency-Key"] == "of mine"


@pytest.mark.parametrize(
    ("name", "kind", "packed"),
    [
        ("list.txt", "text/plain", None),
        ("List.CSV", "text/csv", None),
        ("list.tsv.gz", "text/tab-separated-values", "gzip"),
        ("list.ndjson.xz", "application/x-ndjson", "xz"),
        ("list.parquet", "application/vnd.apache.parquet", None),
    ],
)
def test_a_list_file_is_sent_as_it_is_and_again_from_its_beginning(
    api: ScriptedApi, client: Client, name: str, kind: str, packed: str | None
) -> None:
    content = b"0123456789\n" * 100_000
    Path(name).write_bytes(content)
    api.script = [hung_up(), hung_up(unread=True), ok(job_data(), 202)]
    client.submit(Path(name), column="image", id_column="sku", priority="low", webhook_url="https://me/")
    assert api.seen[0].body == api.seen[2].body == content
    assert api.seen[2].headers["Content-Type"] == kind
    assert api.seen[2].headers.get("Content-Encoding") == packed
    options = {"column": "image", "id_column": "sku", "priority": "low", "webhook_url": "https://me/"}
    assert api.seen[2].query == options


def test_a_list_that_cannot_be_sent_is_named(client: Client) -> None:
    Path("folder.csv").mkdir()
    Path("list.doc").touch()
    for path, error, code in (
        ("missing.csv", UsageError, Code.SOURCE_NOT_FOUND),
        ("list.doc", UsageError, Code.SOURCE_UNREADABLE),
        ("folder.csv", ResourceError, Code.SOURCE_UNREADABLE),
    ):
        with pytest.raises(error, match=path) as caught:
            client.submit(Path(path))
        assert isinstance(caught.value, SmartSightError)
        assert caught.value.code is code
    with pytest.raises(TypeError, match="Path"):
        client.submit("https://h/1")


def test_jobs_are_listed_page_by_page(api: ScriptedApi, client: Client) -> None:
    api.script = [ok([job_data(id=3), job_data(id=2)], next_cursor="c"), ok([job_data(id=1)])]
    assert [job.id for job in client.jobs(limit=2)] == [3, 2, 1]
    assert [seen.query for seen in api.seen] == [{"limit": "2"}, {"limit": "2", "cursor": "c"}]


def test_waiting_asks_only_for_what_is_new_and_as_often_as_the_api_wants(
    api: ScriptedApi, client: Client, pauses: list[float]
) -> None:
    api.script = [
        ok(job_data(done=1), ETag='"a"', Retry_After="3"),
        page(304, b"", Retry_After="4"),
        page(304, b""),
        ok(job_data(done=4, state="completed"), ETag='"b"'),
    ]
    seen: list[int] = []
    job = client.wait(12, poll=0.2, on_change=lambda job: seen.append(job.done))
    assert (job.state, seen) == (JobState.COMPLETED, [1, 4])
    assert pauses == [3, 4, 0.2]
    assert [asked.headers.get("If-None-Match") for asked in api.seen] == [None, '"a"', '"a"', '"a"']


def test_waiting_is_never_busy_and_ends_with_a_paused_job(
    api: ScriptedApi, client: Client, pauses: list[float]
) -> None:
    api.script = [ok(job_data()), ok(job_data(state="paused", reason="too much fails"))]
    assert client.wait(12, poll=0).state is JobState.PAUSED
    assert pauses[0] >= 0.1


def test_waiting_outlasts_an_api_that_is_started_anew(api: ScriptedApi, client: Client) -> None:
    api.script = [ok(job_data()), *[page(502)] * 8, ok(job_data(state="completed"))]
    assert client.wait(12).state is JobState.COMPLETED


def _numbered(*numbers: int) -> list[dict[str, Any]]:
    return [{"index": number, "ref": "é" * 50, "cursor": f"c{number}"} for number in numbers]


def test_results_go_on_behind_the_last_row_where_the_connection_broke(
    api: ScriptedApi, client: Client, pauses: list[float]
) -> None:
    api.script = [
        rows(*_numbered(0, 1, 2, 3), cut=900),
        page(502),
        rows(*_numbered(2, 3), cut=350),
        rows(*_numbered(3)),
    ]
    found = list(client.results(12, state="succeeded", class_="cat", min_score=0.5))
    assert [row["index"] for row in found] == [0, 1, 2, 3]
    filters = {"state": "succeeded", "class": "cat", "min_score": "0.5", "format": "ndjson"}
    asked = [seen.query for seen in api.seen]
    assert [query.get("cursor") for query in asked] == [None, "c1", "c1", "c2"]
    assert all(filters.items() <= query.items() for query in asked)


def test_results_are_given_up_where_nothing_comes_any_more(api: ScriptedApi, client: Client) -> None:
    api.script = [rows(*_numbered(0, 1), cut=400), *[hung_up()] * 3]
    found: list[int] = []
    with pytest.raises(RequestError) as caught:
        found += (row["index"] for row in client.results(12))
    assert caught.value.code is Code.API_UNAVAILABLE
    assert len(api.seen) == 3


def test_results_that_were_to_be_all_of_a_job_are_not_gone_on_with_when_it_runs_again(
    api: ScriptedApi, client: Client
) -> None:
    api.script = [
        rows(*_numbered(0, 1, 2), cut=400, SmartSight_Complete="false"),
        rows(*_numbered(1, 2), cut=400, SmartSight_Complete="true"),
        page(502),
        rows(*_numbered(2), SmartSight_Complete="true"),
    ]
    assert [row["index"] for row in client.results(12)] == [0, 1, 2]
    api.script = [
        rows(*_numbered(0, 1, 2), cut=400, SmartSight_Complete="true"),
        page(502),
        rows(*_numbered(2), SmartSight_Complete="false"),
    ]
    with pytest.raises(RequestError) as caught:
        list(client.results(12))
    assert caught.value.code is Code.JOB_CHANGED


def test_a_row_without_a_cursor_is_not_ours(api: ScriptedApi, client: Client) -> None:
    api.script = [rows({"index": 0})]
    with pytest.raises(RequestError) as caught:
        list(client.results(12))
    assert caught.value.code is Code.API_REFUSED


def test_a_download_appears_when_it_is_complete(api: ScriptedApi, client: Client) -> None:
    api.script = [rows(*_numbered(0, 1), cut=100), rows(*_numbered(0, 1)), hung_up(), hung_up(), hung_up()]
    client.download(12, "ndjson", "out.jsonl")
    assert Path("out.jsonl").read_bytes().count(b"\n") == 2
    assert api.seen[1].query == {"format": "ndjson"}
    with pytest.raises(RequestError):
        client.download(12, "csv", "other.csv")
    assert [path.name for path in Path().iterdir()] == ["out.jsonl"]
    api.script = [rows()]
    with pytest.raises(ResourceError, match="no/such"):
        client.download(12, "csv", "no/such/folder.csv")


def test_images_and_jobs_can_be_forgotten(api: ScriptedApi, client: Client) -> None:
    api.script = [
        *(ok([{"job": 2}], next_cursor="c"), ok([{"job": 1}]), ok({"results": 2})),
        *(page(204, b""), ok({"classes": []})),
    ]
    assert list(client.image(sha256="ab")) == [{"job": 2}, {"job": 1}]
    assert client.forget(url="https://h/1") == {"results": 2}
    client.delete(12)
    assert client.summary(12) == {"classes": []}
    assert [(seen.method, seen.path, seen.query) for seen in api.seen] == [
        ("GET", "/v1/images", {"sha256": "ab"}),
        ("GET", "/v1/images", {"sha256": "ab", "cursor": "c"}),
        ("DELETE", "/v1/images", {"url": "https://h/1"}),
        ("DELETE", "/v1/jobs/12", {}),
        ("GET", "/v1/jobs/12/summary", {"top": "20"}),
    ]


@pytest.mark.parametrize(
    "answer",
    [
        page(200),
        page(200, b'{"data": 1}'),
        page(200, b"[" * 100_000),
        page(404),
        page(302, Location="https://elsewhere.example/"),
        ok({"id": 12}),
        ok(None),
        ok(job_data(state="dancing")),
        failed(404, "a_code_of_tomorrow", "News."),
    ],
)
def test_an_answer_that_is_not_ours_is_refused(api: ScriptedApi, client: Client, answer: Any) -> None:
    api.script = [answer]
    with pytest.raises(RequestError) as caught:
        client.job(12)
    assert caught.value.code is Code.API_REFUSED
    assert len(api.seen) == 1


def test_where_nothing_answers_the_api_is_unavailable(pauses: list[float]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with Client(url, _KEY, attempts=2, sleep=pauses.append) as client, pytest.raises(RequestError) as caught:
        client.cancel(12)
    assert caught.value.code is Code.API_UNAVAILABLE
    assert url in str(caught.value)
    assert len(pauses) == 1, "what was never sent can be sent again"


@pytest.mark.parametrize(
    "ask", [lambda client: client.job(1), lambda client: client.submit([]), lambda client: repr(client)]
)
def test_no_message_has_the_key(api: ScriptedApi, client: Client, ask: Callable[[Client], Any]) -> None:
    api.script = [failed(401, "key_invalid", Code.KEY_INVALID.sentence)]
    try:
        told = ask(client)
    except RequestError as error:
        told = f"{error} {error!r} {error.__cause__!r}"
    assert _KEY not in told


@pytest.mark.parametrize(
    "url",
    [
        "http://labels.example.com",
        "http://10.0.0.1:8000",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
    ],
)
def test_the_key_is_not_shown_to_whoever_listens_on_the_way(url: str) -> None:
    with pytest.raises(UsageError, match="https") as caught:
        Client(url, _KEY)
    assert _KEY not in str(caught.value)
    Client(url).close()


@pytest.mark.parametrize("url", ["https://labels.example.com", "http://localhost:8000", "http://[::1]:8000/"])
def test_the_key_is_shown_over_https_and_on_this_machine(url: str) -> None:
    Client(url, _KEY).close()


@pytest.mark.parametrize(
    "url",
    ["labels.example.com", "ftp://h", "https://h/a.jpg", "https://u:p@h", "https://h:99999", "https://", ""],
)
def test_what_is_no_url_of_an_api_is_refused(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        Client(url, _KEY)
    assert caught.value.code is Code.SETTING_INVALID


def test_an_api_may_be_below_a_path(api: ScriptedApi) -> None:
    api.script = [ok("alive"), ok(job_data()), ok(job_data())]
    with Client(f"{api.url}/labels/", _KEY) as client:
        client.job(12)
        client.job(12)
    assert [seen.path for seen in api.seen] == ["/labels/livez", *["/labels/v1/jobs/12"] * 2]
    assert [seen.headers.get("Authorization") for seen in api.seen] == [None, *[f"Bearer {_KEY}"] * 2]


@pytest.mark.parametrize(
    "answer", [page(404), page(200), page(200, b'"alive"'), failed(404, "not_found", "")]
)
def test_a_path_where_no_api_answers_is_not_shown_the_key(api: ScriptedApi, answer: Scripted) -> None:
    api.script = [answer]
    with Client(f"{api.url}/pictures", _KEY, attempts=1) as client, pytest.raises(RequestError) as caught:
        client.job(12)
    assert caught.value.code is Code.API_REFUSED
    assert len(api.seen) == 1
    assert "Authorization" not in api.seen[0].headers


def test_the_secret_of_a_lists_webhook_is_sent_in_a_header(api: ScriptedApi, client: Client) -> None:
    Path("list.txt").write_text("https://h/1\n")
    api.script = [ok(job_data(), 202)]
    client.submit(Path("list.txt"), webhook_url="https://me/", webhook_secret="whsec_x")
    assert api.seen[0].query == {"webhook_url": "https://me/"}
    assert api.seen[0].headers["SmartSight-Webhook-Secret"] == "whsec_x"


@pytest.mark.parametrize("key", ["two words", "kéy", "line\nHost: other"])
def test_what_can_be_no_key_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(UsageError) as caught:
        Client("https://h", key)
    assert caught.value.code is Code.KEY_INVALID
    assert key not in str(caught.value)


def test_lines_are_put_together_from_any_pieces() -> None:
    assert list(split_lines([b"a", b"b\n\nc", b"\n", b"d"])) == [b"ab", b"c", b"d"]
    with pytest.raises(RequestError):
        list(split_lines([b"x" * (1 << 20)] * 2))


def test_an_estimate_may_take_longer_than_other_answers(api: ScriptedApi, pauses: list[float]) -> None:
    api.script = [late(ok(ESTIMATE), 0.5), late(ok(job_data()), 0.5)]
    with Client(api.url, timeout=0.1, attempts=1) as client:
        found = client.estimate(["https://h/1"], sample=3)
        assert (found.references, found.causes) == (3189, (("http_404", 0.032),))
        assert found.forbidding == (("robots.example.org", "robots_disallowed"),)
        with pytest.raises(RequestError):
            client.job(12)
    assert (api.seen[0].query, len(api.seen)) == ({"dry_run": "true", "sample": "3"}, 2)


def test_what_the_documentation_shows_is_understood() -> None:
    assert Job.from_json(JOB).counts["succeeded"] == 240
    assert Job.from_json(JOB).codes[0].code == "http_404"
    assert Job.from_json(JOB).malformed.lines[0].line == 3
    assert Estimate.from_json(ESTIMATE).malformed == 0
