"""Commands on an API: what they send, and what they make of its answers; a script plays the API."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from commands import submit
from commands.arguments import build_parser
from commands.jobs import describe
from results_api.service.job_models import ESTIMATE
from shared.errors import Code, ResourceError, UsageError
from shared.items import ItemState, JobState
from shared.job_status import CodeCount, JobStatus, MalformedLine, MalformedLines
from shared.settings import Settings
from smartsight import load_handler
from tests.servers.scripted_api import ScriptedApi, failed, ok, rows
from tests.unit.test_client import job_data

Call = Callable[..., int]


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with closing(ScriptedApi()) as api:
        yield api


@pytest.fixture
def call(api: ScriptedApi) -> Call:
    """What runs a command on the API that the settings name, and returns its exit status."""

    def call(*arguments: str) -> int:
        options = build_parser().parse_args([*arguments, "--api"])
        status: int = load_handler(options)(options, Settings(api_url=api.url, api_key="ss_mine"))
        return status

    return call


def _row(index: int, **changes: Any) -> dict[str, Any]:
    best = {"class": "espresso", "wordnet_id": "n07920052", "score": 0.95}
    row = {"index": index, "ref": f"https://h/{index}", "state": "succeeded", "predictions": [best]}
    return row | {"reused": False, "cursor": str(index), "of_tomorrow": 1} | changes


def test_a_job_is_described_as_the_database_has_it(
    api: ScriptedApi, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    api.script = [ok(job_data(state="completed", finished_at="2027-01-02T04:00:00Z"))]
    assert call("jobs", "12") == 0
    stored = JobStatus(
        *(12, "mine", JobState.COMPLETED, "", "lite0@1", "normal"),
        datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC),
        datetime(2027, 1, 2, 4, tzinfo=UTC),
        *(4, True, 3),
        dict(zip(ItemState, (1, 2, 1, 0, 0), strict=True)),
        (CodeCount(Code.HTTP_404, ItemState.FAILED, 1, "Gone."),),
        *(1.5, 0.7, None),
        MalformedLines(1, (MalformedLine(5, 1, "not JSON"),)),
        None,
    )
    assert capsys.readouterr().out.splitlines() == list(describe(stored, " --api"))
    assert api.seen[0].headers["Authorization"] == "Bearer ss_mine"


def test_what_to_do_next_is_to_be_done_there(
    api: ScriptedApi, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    api.script = [ok(job_data(state="paused"))]
    call("jobs", "12")
    assert "`smartsight resume 12 --api` resumes it" in capsys.readouterr().out


def test_jobs_are_listed_and_older_ones_after_them(
    api: ScriptedApi, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    api.script = [ok([job_data(id=3), job_data(id=2), job_data(id=1)])] * 2
    call("jobs")
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["job", "3", "2", "1"]
    call("jobs", "--before", "3")
    listed = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[:5] for line in listed] == [[n, "running", "3", "4", "1"] for n in "21"]


def test_a_cause_that_only_a_newer_api_knows_is_counted(
    api: ScriptedApi, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = [{"code": "of_tomorrow", "state": "failed", "count": 1, "message": "News."}]
    api.script = [ok(job_data(codes=codes))]
    call("jobs", "12")
    told = capsys.readouterr().out
    assert "1 failed" in told
    assert "1 of_tomorrow: News." in told


def test_watching_ends_with_what_the_job_came_to(
    api: ScriptedApi, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    over = {"state": "completed", "submitted": 3}
    good = {"codes": [], "counts": {"succeeded": 3}}
    api.script = [ok(job_data(**over)), ok(job_data(**over, **good))]
    assert call("watch", "12") == 1
    assert capsys.readouterr().err.splitlines() == [
        "Job 12 is completed.",
        "3 images: 2 succeeded, 1 failed; 0 in 0.0 s, 0.0 images/s",
        "         1 http_404: Gone.",
    ]
    assert call("watch", "12") == 0


@pytest.mark.parametrize("output", [None, "-", "out.jsonl", "out.csv", "out.parquet"])
def test_results_are_written_as_the_database_would(
    api: ScriptedApi, call: Call, capsysbinary: pytest.CaptureFixture[bytes], output: str | None
) -> None:
    api.script = [ok(job_data()), rows(_row(0), _row(2)), ok(job_data())]
    assert call("results", "12", *(["--output", output] if output else [])) == 0
    told = capsysbinary.readouterr()
    assert b"Job 12 is running: 1 of 4 images have no result yet." in told.err
    written = Path(output).read_bytes() if output and output != "-" else told.out
    assert b"https://h/0" in written
    assert b"of_tomorrow" not in written
    if output in ("-", "out.jsonl"):
        assert [json.loads(line)["index"] for line in written.splitlines()] == [0, 2]


def test_a_job_that_is_not_there_leaves_a_file_alone(api: ScriptedApi, call: Call) -> None:
    Path("out.csv").write_text("mine")
    api.script = [failed(404, "job_unknown", f"{Code.JOB_UNKNOWN.sentence} (job 12)")]
    with pytest.raises(UsageError, match="job 12"):
        call("results", "12", "--output", "out.csv")
    assert Path("out.csv").read_text() == "mine"


def test_a_job_is_controlled(api: ScriptedApi, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    cancelled = job_data(state="cancelled", done=4, counts={"succeeded": 1, "cancelled": 3})
    api.script = [ok(job_data(state="cancelling")), ok(cancelled), ok(job_data()), ok(job_data(retried=7))]
    for command in ("cancel 12", "cancel 12", "resume 12 --max-failure-rate 0.5", "retry 12 --code http_404"):
        assert call(*command.split()) == 0
    assert capsys.readouterr().err.splitlines() == [
        "Job 12: 1 images are being cancelled, 3 results kept.",
        "Job 12: 3 images cancelled, 1 results kept.",
        "Job 12 resumed.",
        "Job 12: 7 images will be retried.",
    ]
    assert json.loads(api.seen[2].body) == {"max_failure_rate": 0.5}
    assert json.loads(api.seen[3].body) == {"codes": ["http_404"]}


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (409, "job_not_ready", UsageError),
        (401, "key_missing", ResourceError),
        (429, "quota_exceeded", ResourceError),
    ],
)
def test_a_refusal_ends_a_command_as_without_the_api(
    api: ScriptedApi, call: Call, status: int, code: str, error: type[Exception]
) -> None:
    api.script = [failed(status, code, Code(code).sentence)]
    with pytest.raises(error, match=Code(code).sentence.partition("`")[0]):
        call("cancel", "12")


def test_images_are_classified_and_those_that_cannot_be_are_named(
    api: ScriptedApi, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    data = [{"class": "espresso", "wordnet_id": "n07920052", "score": 0.9510621}]
    broken = failed(422, "image_corrupt", Code.IMAGE_CORRUPT.sentence)
    Path("a.jpg").write_bytes(b"a")
    Path("b.jpg").write_bytes(b"b")
    api.script = [ok(data), ok(data), broken, ok(data)]
    assert call("classify", "a.jpg", "--top", "1") == 0
    assert capsys.readouterr().out == '[{"class": "espresso", "score": 0.951062}]\n'
    assert call("classify", "a.jpg", "b.jpg", "missing.jpg", "https://h/c.jpg") == 1
    told = capsys.readouterr()
    assert [json.loads(line)["image"] for line in told.out.splitlines()] == ["a.jpg", "https://h/c.jpg"]
    assert [line.split(": ")[1:3] for line in told.err.splitlines()] == [
        ["b.jpg", "image_corrupt"],
        ["missing.jpg", "file_not_found"],
    ]


def test_what_is_no_fault_of_an_image_ends_the_command(api: ScriptedApi, call: Call) -> None:
    Path("a.jpg").write_bytes(b"a")
    api.script = [failed(422, "request_invalid", Code.REQUEST_INVALID.sentence)]
    with pytest.raises(UsageError):
        call("classify", "a.jpg", "a.jpg", "--top", "50")
    with pytest.raises(UsageError, match="model and engine"):
        call("classify", "a.jpg", "--model", "lite2")


def _submitted(**changes: Any) -> list[Any]:
    return [ok(job_data(recorded=False, submitted=0, done=0), 202), ok(job_data(**changes))]


def test_a_list_is_handed_in_as_it_is(
    api: ScriptedApi, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("list.csv").write_text("image,sku\nhttps://h/1,a\n")
    api.script = _submitted()
    words = (
        "submit list.csv --column image --id-column sku --name mine --max-failure-rate 0 --idempotency-key k"
    )
    assert call(*words.split()) == 1
    told = capsys.readouterr()
    assert told.out == "12\n"
    assert told.err.splitlines() == [
        "Job 12: recording. If interrupted, resume with --idempotency-key k",
        "left out: list.csv, line 5: not JSON",
        "Malformed lines left out: 1.",
        "Job 12: 4 images recorded. See `smartsight watch 12 --api`.",
    ]
    assert api.seen[0].body == Path("list.csv").read_bytes()
    assert api.seen[0].headers["Idempotency-Key"] == "k"
    expected = {"column": "image", "id_column": "sku", "name": "mine", "max_failure_rate": "0.0"}
    assert api.seen[0].query == expected


def test_a_job_may_go_first_and_tell_when_it_is_over(
    api: ScriptedApi, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("list.txt").write_text("https://h/1\n")
    webhook = {"url": "https://h.example/x", "state": "pending", "attempts": 0, "last_error": None}
    api.script = _submitted()
    api.script[0] = ok(
        job_data(recorded=False, submitted=0, done=0, webhook=webhook | {"secret": "whsec_a"}), 202
    )
    call("submit", "list.txt", "--priority", "high", "--webhook", "https://h.example/x")
    assert api.seen[0].query == {"column": "url", "priority": "high", "webhook_url": "https://h.example/x"}
    assert "The webhook's signing secret is whsec_a" in capsys.readouterr().err


def test_a_quiet_submission_prints_the_secret_that_is_shown_only_once(
    api: ScriptedApi, call: Call, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commands.terminal._verbosity", "quiet")
    Path("list.txt").write_text("https://h/1\n")
    webhook = {"url": "https://h.example/x", "state": "pending", "attempts": 0, "last_error": None}
    api.script = _submitted()
    begun = job_data(recorded=False, submitted=0, done=0, webhook=webhook | {"secret": "whsec_a"})
    api.script[0] = ok(begun, 202)
    call("submit", "list.txt", "--webhook", "https://h.example/x")
    told = capsys.readouterr()
    assert told.out == "12\n"
    assert told.err.splitlines() == [
        "The webhook's signing secret is whsec_a",
        "left out: list.txt, line 5: not JSON",
    ]


def test_without_the_api_nobody_calls_a_webhook() -> None:
    options = build_parser().parse_args(["submit", "https://h/1", "--webhook", "https://h.example/x"])
    with pytest.raises(UsageError, match="add --api"):
        submit.run(options, Settings())


def test_other_sources_become_one_list(
    api: ScriptedApi,
    call: Call,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("list.csv").write_text("url,sku\nhttps://h/2,b\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"https://h/3\na/path.jpg\n")))
    api.script = _submitted(malformed={"count": 0, "lines": []})
    assert call("submit", "https://h/1", "list.csv", "-", "--id-column", "sku") == 1
    sent = [json.loads(line) for line in api.seen[0].body.splitlines()]
    assert [(one["url"], one["id"]) for one in sent] == [
        ("https://h/1", None),
        ("https://h/2", "b"),
        ("https://h/3", None),
    ]
    told = capsys.readouterr().err
    assert "left out: a/path.jpg" in told
    assert "Malformed lines left out: 1." in told


def test_a_list_without_any_url_is_no_job(api: ScriptedApi, call: Call) -> None:
    with pytest.raises(ResourceError) as caught:
        call("submit", "a/path.jpg")
    assert caught.value.code is Code.NOTHING_TO_LABEL
    assert not api.seen
    Path("empty.txt").touch()
    api.script = _submitted(submitted=0, state="failed", reason="nothing there")
    with pytest.raises(ResourceError) as caught:
        call("submit", "empty.txt")
    assert caught.value.code is Code.NOTHING_TO_LABEL


def test_a_list_that_broke_off_is_told(api: ScriptedApi, call: Call) -> None:
    Path("list.txt").touch()
    api.script = _submitted(state="failed", reason="it breaks off")
    with pytest.raises(ResourceError, match="it breaks off"):
        call("submit", "list.txt")


def test_a_dry_run_says_what_the_api_expects(
    api: ScriptedApi, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("list.txt").write_text("https://h/1\n")
    newer = {"code": "of_tomorrow", "part": 0.1, "message": "It will be known then."}
    api.script = [ok({**ESTIMATE, "causes": [*ESTIMATE["causes"], newer]})]
    assert call("submit", "list.txt", "--dry-run", "--sample", "3") == 0
    told = capsys.readouterr().out
    assert "(60 tried of 3189)" in told
    assert "3.2% http_404" in told
    assert "forbidden by         robots.example.org (robots_disallowed)" in told
    assert api.seen[0].query == {"column": "url", "dry_run": "true", "sample": "3"}


@pytest.mark.parametrize("url", ["https://h/a.jpg", "h:8000", "localhost", "ftp://h"])
def test_what_is_meant_as_the_url_of_an_api_and_is_none_is_refused(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(["submit", "--api", url])
    assert ended.value.code == 2
    assert f"'{url}' is not http(s)://HOST:PORT" in capsys.readouterr().err


def test_the_command_line_leads_there(api: ScriptedApi) -> None:
    command = [sys.executable, "-m", "smartsight", "cancel", "12", "--api", api.url]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for status, code, exit_status in ((404, "job_unknown", 2), (403, "scope_missing", 1)):
        api.script = [failed(status, code, Code(code).sentence)]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (ended.returncode, code in ended.stderr) == (exit_status, True)
