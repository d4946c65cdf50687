"""The job commands on both back ends: on a database here, and on a real service that has the database."""

import csv
import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyarrow.parquet import read_table

from results_api.report.report import make_report
from shared.classifier.model import Model
from shared.errors import Code
from shared.hosts import HostState
from shared.items import Evidence, Item, ItemState, Result, now
from shared.store.store import Job, RecordedModel, Store
from tests.contract.api import record_lists, served, services_on
from tests.contract.colours import MODEL
from tests.servers.commands import Finished, run_command

_HOST = "a.example"


class Backend:
    """Runs commands on one back end."""

    def __init__(self, environment: dict[str, str], option: str = "") -> None:
        self.option = option
        self._environment = {**os.environ, **environment}

    def __call__(self, *arguments: str) -> Finished:
        """Run a command with the option that names the back end."""
        return run_command([*arguments, *self.option.split()], self._environment)


@pytest.fixture
def settings(url: str, lite0: Model, cache_dir: Path) -> dict[str, str]:
    """The settings of a machine that has the database and a model."""
    return {
        "SMARTSIGHT_DATABASE_URL": url,
        "SMARTSIGHT_CACHE_DIR": str(cache_dir),
        "SMARTSIGHT_DATA_DIR": "data",
        "SMARTSIGHT_HOST_DELAY": "0.5",
    }


@pytest.fixture(params=["here", "api"])
def run(request: pytest.FixtureRequest, settings: dict[str, str], store: Store) -> Iterator[Backend]:
    if request.param == "here":
        yield Backend(settings)
        return
    with ExitStack() as stack:
        # The service is in the process of the commands, and would log requests among their notes.
        log = logging.getLogger("smartsight.access")
        stack.callback(log.setLevel, log.level)
        log.setLevel(logging.WARNING)
        stop = threading.Event()
        thread = threading.Thread(target=_record, args=(store, stop))
        stack.callback(thread.join)
        stack.callback(stop.set)
        thread.start()
        api_url = stack.enter_context(served(services_on(store, host_delay=0.5)))
        elsewhere = {"SMARTSIGHT_DATABASE_URL": "sqlite:////no/database.db", "SMARTSIGHT_API_URL": api_url}
        yield Backend(settings | elsewhere, " --api")


def _record(store: Store, stop: threading.Event) -> None:
    """Record submitted lists, as a service does."""
    while not stop.wait(0.05):
        record_lists(store)


@pytest.fixture
def model(store: Store) -> RecordedModel:
    return store.models.record(MODEL.name, MODEL.version, MODEL.labels)


@pytest.fixture
def job(store: Store, model: RecordedModel) -> Job:
    """A completed job of four images: two reds, a blue, and one that failed."""
    job = store.jobs.open("mine", model.id, "spring")
    refs = [f"https://{host}/{place}.jpg" for place, host in enumerate((_HOST, _HOST, "b.example", _HOST))]
    store.items.add([Item(job.id, place, ref, f"id {place}") for place, ref in enumerate(refs)], "digest")
    store.jobs.mark_recorded(job.id)
    evidence = [Evidence(host=ref.split("/")[2], bytes=100, fetch_ms=5.0) for ref in refs]
    labels: list[dict[str, Any]] = [
        {"class_ids": (0, 1), "scores": (0.75, 0.25)},
        {"class_ids": (0, 1), "scores": (0.5, 0.25)},
        {"class_ids": (1, 0), "scores": (0.875, 0.125)},
        {"code": Code.HTTP_5XX, "detail": "HTTP 503"},
    ]
    store.results.save(
        Result(
            *(job.id, place, ItemState.FAILED if "code" in label else ItemState.SUCCEEDED),
            *(datetime.now(UTC), 1, model.id),
            evidence=evidence[place],
            **label,
        )
        for place, label in enumerate(labels)
    )
    assert store.jobs.complete(job.id)
    return store.jobs.get(job.id)


@pytest.fixture
def open_job(store: Store, model: RecordedModel) -> Job:
    """A job of three images, of which nothing is done."""
    job = store.jobs.open("open", model.id)
    store.items.add([Item(job.id, place, f"https://{_HOST}/{place}.jpg") for place in range(3)], "digest")
    store.jobs.mark_recorded(job.id)
    return store.jobs.get(job.id)


def test_a_list_is_submitted_once(run: Backend, store: Store) -> None:
    Path("list.csv").write_text(f"image,sku\nhttps://{_HOST}/1.jpg,a\nno url,b\nhttps://{_HOST}/2.jpg,c\n")
    words = ("--column", "image", "--id-column", "sku", "--name", "spring", "--priority", "high")
    submitted = run("submit", "list.csv", *words, "--max-failure-rate", "0.5", "--idempotency-key", "k")
    assert (submitted.status, submitted.out) == (1, "1\n"), submitted.err
    assert "Job 1: recording. If interrupted, resume with --idempotency-key k" in submitted.err
    assert "line 3: not an http or https URL" in submitted.err
    assert "Malformed lines left out: 1." in submitted.err
    assert "Job 1: 2 images recorded" in submitted.err
    assert f"See `smartsight watch 1{run.option}`." in submitted.err
    again = run("submit", "list.csv", *words, "--max-failure-rate", "0.5", "--idempotency-key", "k")
    assert again.out == "1\n"
    assert [(item.ref, item.custom_id) for item in store.items.pending(1, 0, 9)] == [
        (f"https://{_HOST}/1.jpg", "a"),
        (f"https://{_HOST}/2.jpg", "c"),
    ]
    shown = run("jobs", "1", "--json").json()
    assert (shown["name"], shown["priority"], shown["max_failure_rate"]) == ("spring", "high", 0.5)


def test_another_list_with_the_same_key_is_refused(run: Backend) -> None:
    for number, status in ((1, 0), (2, 2)):
        Path("list.txt").write_text(f"https://{_HOST}/{number}.jpg\n")
        finished = run("submit", "list.txt", "--idempotency-key", "k")
        assert finished.status == status, finished.err
    assert "key_taken" in finished.err


def test_a_list_without_a_url_is_no_job_that_waits(run: Backend) -> None:
    Path("list.txt").write_text("a/path.jpg\n")
    Path("empty.txt").touch()
    for source in ("list.txt", "empty.txt", "a/path.jpg"):
        finished = run("submit", source)
        assert (finished.status, "nothing_to_label" in finished.err) == (1, True), finished.err
    assert " submitting " not in run("jobs").out
    assert run("submit", "missing.txt").status == 2


def test_jobs_are_listed_and_described(run: Backend, job: Job, open_job: Job) -> None:
    head, *lines = run("jobs").out.splitlines()
    assert head.split() == ["job", "state", "done", "of", "failed", "created", "name"]
    assert [line.split()[:5] for line in lines] == [
        ["2", "running", "0", "3", "0"],
        ["1", "completed", "4", "4", "1"],
    ]
    assert lines[1].endswith("spring")
    assert [line.split()[0] for line in run("jobs", "--before", "2").out.splitlines()] == ["job", "1"]
    described = run("jobs", "1").out.splitlines()
    created = f"{job.created_at:%Y-%m-%d %H:%M:%S}"
    finished_at = job.finished_at
    assert finished_at is not None
    assert described == [
        "job        1",
        "name       spring",
        "state      completed",
        f"model      {MODEL.name}@{MODEL.version}",
        f"created    {created}",
        f"finished   {finished_at:%Y-%m-%d %H:%M:%S}",
        "submitted  4",
        "published  0",
        "done       4",
        "           3 succeeded",
        "           1 failed",
        f"           1 http_5xx: {Code.HTTP_5XX.sentence}",
        f"`smartsight retry 1{run.option}` retries the images with transient failures.",
    ]


def test_jobs_are_json_for_programs(run: Backend, job: Job, open_job: Job) -> None:
    listed = run("jobs", "--json").json()
    assert [one["id"] for one in listed] == [2, 1]
    assert listed[1] == run("jobs", str(job.id), "--json").json()
    assert listed[1]["counts"] == {"pending": 0, "succeeded": 3, "failed": 1, "skipped": 0, "cancelled": 0}
    assert listed[1]["codes"][0]["code"] == "http_5xx"
    assert listed[1]["created_at"].endswith("Z")


def test_watching_ends_with_the_job(run: Backend, job: Job, open_job: Job, store: Store) -> None:
    watched = run("watch", str(job.id))
    assert watched.status == 1
    assert watched.err.splitlines() == [
        "Job 1 is completed.",
        "4 images: 3 succeeded, 1 failed; 0 in 0.0 s, 0.0 images/s",
        f"         1 http_5xx: {Code.HTTP_5XX.sentence}",
    ]
    assert store.jobs.pause(open_job.id, "too much fails")
    watched = run("watch", str(open_job.id))
    assert (watched.status, "Job 2 is paused: too much fails." in watched.err) == (1, True)


def test_results_are_lines_for_people(run: Backend, job: Job) -> None:
    lines = run("results", str(job.id)).out.splitlines()
    hosts = (_HOST, _HOST, "b.example", _HOST)
    assert [line.split()[0] for line in lines] == [f"https://{host}/{i}.jpg" for i, host in enumerate(hosts)]
    assert lines[0].split(maxsplit=1)[1] == f"0.750  {MODEL.labels[0][1]}"
    assert "failed  http_5xx" in lines[3]


@pytest.mark.parametrize(
    ("filters", "indexes"),
    [
        (["--state", "failed"], [3]),
        (["--code", "http_5xx"], [3]),
        (["--class", MODEL.labels[0][0]], [0, 1]),
        (["--min-score", "0.75"], [0, 2]),
        (["--host", "b.example"], [2]),
        (["--class", MODEL.labels[0][1].split(",")[0], "--min-score", "0.75", "--host", _HOST], [0]),
        (["--state", "skipped"], []),
    ],
)
def test_results_are_filtered(run: Backend, job: Job, filters: list[str], indexes: list[int]) -> None:
    finished = run("results", str(job.id), "-o", "-", *filters)
    assert [json.loads(line)["index"] for line in finished.out.splitlines()] == indexes


def test_results_that_are_missing_are_counted(run: Backend, open_job: Job) -> None:
    finished = run("results", str(open_job.id))
    assert (finished.status, finished.out) == (0, "")
    assert "Job 1 is running: 3 of 3 images have no result yet." in finished.err


def test_results_are_files(run: Backend, job: Job) -> None:
    for name in ("out.jsonl", "out.csv", "out.parquet"):
        assert run("results", str(job.id), "--output", name).status == 0
    rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [row["custom_id"] for row in rows] == [f"id {place}" for place in range(4)]
    assert "cursor" not in rows[0]
    with Path("out.csv").open(newline="") as file:
        assert [row["ref"] for row in csv.DictReader(file)] == [row["ref"] for row in rows]
    assert read_table("out.parquet")["code"].to_pylist() == [row["code"] for row in rows]
    assert run("results", str(job.id), "-o", "out.doc").status == 2


def test_a_class_that_no_model_has_is_wrong_usage(run: Backend, job: Job) -> None:
    finished = run("results", str(job.id), "--class", "pumpernickel")
    assert (finished.status, "class_unknown" in finished.err) == (2, True)
    finished = run("results", str(job.id), "--host", "not a/host")
    assert (finished.status, "host_invalid" in finished.err) == (2, True)


def test_a_report_is_a_page_and_json(run: Backend, job: Job, store: Store, model: RecordedModel) -> None:
    expected = make_report(store.summaries.get(job.id, 0.5, 20), model)
    written = run("report", str(job.id))
    assert written.out.splitlines() == list(expected.sentences)
    assert written.err == "Written: report-1.html, report-1.json\n"
    report = json.loads(Path("report-1.json").read_text())
    assert report["job"] | {"reported_at": ""} == json.loads(expected.as_json())["job"] | {"reported_at": ""}
    assert Path("report-1.html").read_text().startswith("<!doctype html>")
    printed = run("report", str(job.id), "--output", "-")
    assert printed.json()["codes"] == report["codes"]
    assert printed.err.splitlines() == list(expected.sentences)
    assert run("report", str(job.id), "--output", "x.txt").status == 2


def test_a_job_is_cancelled(run: Backend, job: Job, open_job: Job) -> None:
    cancelled = run("cancel", str(open_job.id))
    assert cancelled.status == 0
    assert cancelled.err in (
        "Job 2: 3 images cancelled, 0 results kept.\n",
        "Job 2: 3 images are being cancelled, 0 results kept.\n",
    )
    refused = run("cancel", str(job.id))
    assert (refused.status, "there is nothing to cancel" in refused.err) == (2, True)


def test_failures_are_retried(run: Backend, job: Job, store: Store) -> None:
    before = store.jobs.get(job.id)
    none = run("retry", str(job.id), "--code", "http_404")
    assert (none.status, none.err) == (0, "Job 1: there is nothing to retry; nothing was changed.\n")
    assert store.jobs.get(job.id) == before
    assert run("retry", str(job.id)).err == "Job 1: 1 images will be retried.\n"
    assert [item.index for item in store.items.pending(job.id, 0, 9)] == [3]


def test_what_waits_is_told_and_given_up(run: Backend, open_job: Job, store: Store) -> None:
    store.workers.note("a worker", None)
    for index in range(3):
        evidence = Evidence(host=_HOST)
        failure = Result(
            open_job.id, index, ItemState.FAILED, now(), 1, 1, code=Code.HTTP_5XX, evidence=evidence
        )
        store.retries.add(failure, 600, 6000)
    described = run("jobs", str(open_job.id)).out.splitlines()
    assert described[-3].startswith("3 images wait for another try at ")
    assert described[-3].endswith(f"(http_5xx, {_HOST}).")
    assert described[-2].startswith("If that fails again and again, the last of them ends by ")
    assert described[-1] == f"`smartsight give-up 1{run.option}` ends what waits now, with its last error."
    assert run("give-up", str(open_job.id)).err == "Job 1: 3 waiting images were given up.\n"
    assert "3 http_5xx" in run("jobs", str(open_job.id)).out
    store.jobs.complete(open_job.id)
    refused = run("give-up", str(open_job.id))
    assert (refused.status, "nothing waits for another attempt" in refused.err) == (2, True)


def test_a_job_without_a_worker_says_so(run: Backend, open_job: Job) -> None:
    asked = "No worker was seen in the last minute, and 3 images are left: is one running?"
    assert asked in run("jobs", str(open_job.id)).out


def test_a_paused_job_is_resumed(run: Backend, open_job: Job, store: Store) -> None:
    refused = run("resume", str(open_job.id))
    assert (refused.status, "only a paused job can be resumed" in refused.err) == (2, True)
    assert store.jobs.pause(open_job.id, "too much fails")
    assert f"`smartsight resume 1{run.option}` resumes it" in run("jobs", "1").out
    assert run("resume", str(open_job.id), "--max-failure-rate", "0.9").err == "Job 1 resumed.\n"
    assert store.jobs.get(open_job.id).max_failure_rate == 0.9


def test_a_job_that_is_over_is_deleted(run: Backend, job: Job, open_job: Job, store: Store) -> None:
    deleted = run("delete", str(job.id))
    assert (deleted.status, deleted.err) == (0, "Job 1 deleted: 4 images and 4 results.\n")
    assert run("jobs", str(job.id)).status == 2
    refused = run("delete", str(open_job.id))
    assert (refused.status, "job 2 is running: cancel it first" in refused.err) == (2, True)
    assert store.jobs.get(open_job.id).submitted == 3


@pytest.mark.parametrize(
    "command", ["jobs", "watch", "results", "report", "cancel", "retry", "give-up", "resume", "delete"]
)
def test_a_job_that_is_not_there_is_named(run: Backend, command: str) -> None:
    Path("out.json").write_text("mine")
    finished = run(command, "7", *(["--output", "out.json"] if command == "report" else []))
    assert finished.status == 2
    assert f"job_unknown: {Code.JOB_UNKNOWN.sentence} (job 7)" in finished.err
    assert Path("out.json").read_text() == "mine"


@pytest.fixture
def hosts(store: Store) -> None:
    """Three hosts, of which the second is backed off, and an image waits for nobody."""
    claimed = store.hosts.claim(["a.example", "b.example", "c.example"], "worker", 60)
    learned = [
        replace(claimed.states["a.example"], delay=2.0),
        replace(
            claimed.states["b.example"],
            closed_until=claimed.now + 1000,
            code=str(Code.CONNECT_TIMEOUT),
            trips=1,
            failures=5,
        ),
        HostState("c.example"),
    ]
    store.hosts.renew(learned, [3, 5, 0], "worker", 0)


@pytest.mark.usefixtures("hosts")
def test_hosts_are_listed(run: Backend) -> None:
    head, *lines = run("hosts").out.splitlines()
    assert head.split()[:3] == ["host", "state", "for"]
    assert lines[0].split() == ["a.example", "slow", "2", "s", "0", "3"]
    assert lines[1].split()[:3] == ["b.example", "backed", "off"]
    assert lines[1].endswith(Code.CONNECT_TIMEOUT.sentence)
    assert lines[2].split() == ["c.example", "open", "0.5", "s", "0", "0"]
    assert [line.split()[0] for line in run("hosts", "--after", "a.example").out.splitlines()[1:]] == [
        "b.example",
        "c.example",
    ]
    listed = run("hosts", "--json").json()
    assert [(one["host"], one["state"], one["requests"]) for one in listed] == [
        ("a.example", "slow", 3),
        ("b.example", "backed_off", 5),
        ("c.example", "open", 0),
    ]
    assert 900 < listed[1]["seconds_left"] <= 1000


@pytest.mark.usefixtures("hosts")
def test_hosts_are_blocked_and_released(run: Backend, store: Store) -> None:
    blocked = run("hosts", "block", "https://B.example/any", "new.example")
    assert [line.partition(";")[0] for line in blocked.err.splitlines()] == [
        "b.example: blocked",
        "new.example: blocked",
    ]
    assert store.hosts.blocked(["a.example", "b.example", "new.example"]) == {"b.example", "new.example"}
    assert "b.example: released" in run("hosts", "release", "b.example").err
    assert run("hosts", "--json").json()[1]["state"] == "open"


@pytest.mark.parametrize("words", ["block", "block not/a/host"])
def test_a_host_that_is_none_is_wrong_usage(run: Backend, words: str) -> None:
    finished = run("hosts", *words.split())
    assert (finished.status, "host_invalid" in finished.err) == (2, True)


def test_a_label_command_names_its_job(settings: dict[str, str], store: Store, samples: Path) -> None:
    labelled = Backend(settings)("label", str(samples / "coffee.png"), "--name", "mine")
    assert labelled.status == 0
    assert store.jobs.get(1).name == "mine"
