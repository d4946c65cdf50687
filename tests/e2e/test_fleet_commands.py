"""The commands of a fleet without servers: SQLite, a queue in memory, and one process."""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.crawls import Crawl
from tests.e2e.conftest import Run, Start
from tests.servers.pictures import PictureServer
from tests.servers.ports import free_port
from tests.servers.waiting import wait_until


@pytest.fixture
def pictures(samples: Path) -> Iterator[PictureServer]:
    with closing(PictureServer(samples)) as server:
        yield server


def test_what_is_submitted_is_labelled_by_a_worker_without_any_server(
    run: Run, start: Start, pictures: PictureServer, tmp_path: Path
) -> None:
    urls = [*pictures.urls("same", 4), pictures.url("same", 0), pictures.url("missing", 1)]
    Path("list.txt").write_text("\n".join([*urls, "a/path.jpg"]))
    submitted = run("submit", "list.txt", "--name", "first")
    assert (submitted.status, submitted.out) == (1, "1\n")
    assert "left out: a/path.jpg, line 7: not an http or https URL" in submitted.err
    assert "6 wait in the database" in submitted.err
    run_dir = str(tmp_path / "run")
    with start("worker", SMARTSIGHT_RUN_DIR=run_dir, SMARTSIGHT_OWN_HOSTS=pictures.place) as worker:
        watched = run("watch", "1")
        assert run("worker", "--check", "ready", SMARTSIGHT_RUN_DIR=run_dir).status == 0
        # Other URLs, the same bytes.
        Path("again.txt").write_text("\n".join(pictures.urls("same", 4, start=60)))
        assert run("submit", "again.txt").status == 0
        assert run("watch", "2").status == 0
        worker.terminate()
        _, words = worker.communicate(timeout=60)
    assert (worker.returncode, "Traceback" in words) == (0, False)
    assert watched.status == 1
    assert "Job 1 is completed." in watched.err
    lines = run("results", "1").out.splitlines()
    assert lines[0].split(maxsplit=2)[2] == lines[4].split(maxsplit=2)[2] == "football helmet"
    assert lines[5].endswith("http_404: The host has nothing at this URL (HTTP 404).")
    rows = [json.loads(line) for line in run("results", "2", "--output", "-").out.splitlines()]
    assert [row["reused"] for row in rows] == [True] * 4
    listed = run("jobs").out.splitlines()
    assert [re.split(" +", line.strip())[:5] for line in listed[1:]] == [
        ["2", "completed", "4", "4", "0"],
        ["1", "completed", "6", "6", "1"],
    ]


def test_a_job_is_cancelled_without_any_worker(run: Run) -> None:
    Path("list.txt").write_text("http://127.0.0.1/a.jpg\nhttp://127.0.0.1/b.jpg\n")
    assert run("submit", "list.txt").status == 0
    assert "2 images cancelled, 0 results kept" in run("cancel", "1").err
    again = run("cancel", "1")
    assert (again.status, "2 images cancelled, 0 results kept" in again.err) == (0, True)


def test_what_cannot_be_submitted_leaves_no_job_behind_that_waits(run: Run) -> None:
    Path("empty.txt").touch()
    for source, code in (("missing.txt", "source_not_found"), ("empty.txt", "nothing_to_label")):
        finished = run("submit", source, "--idempotency-key", "mine")
        assert finished.status in (1, 2)
        assert code in finished.err
    assert " submitting" not in run("jobs").out
    Path("list.txt").write_text("http://127.0.0.1/a.jpg\n")
    assert run("submit", "list.txt", "--idempotency-key", "mine").status == 0


def test_what_is_in_a_file_of_this_machine_is_left_out_with_a_word(run: Run) -> None:
    with Crawl("crawl.warc.gz") as crawl:
        crawl.answer("https://host/a.jpg")
    Path("list.txt").write_text("https://host/b.jpg\ncrawl.warc.gz:0:https://host/a.jpg\n")
    finished = run("submit", "crawl.warc.gz", "list.txt")
    assert finished.status == 1
    left_out = "it is in a local file; use `smartsight label` for WARC files"
    assert finished.err.count(left_out) == 2
    assert "1 images recorded" in finished.err


@pytest.mark.parametrize("command", ["jobs 7", "watch 7", "results 7", "cancel 7", "retry 7", "resume 7"])
def test_a_job_that_is_not_there_is_named(run: Run, command: str) -> None:
    finished = run(*command.split())
    assert finished.status == 2
    assert "job_unknown: There is no job with this number. (job 7)" in finished.err


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (
            "amqp://u:secret@127.0.0.1:{port}/",
            "broker_unavailable: The broker cannot be used. (amqp://u:***@127",
        ),
        ("amqp://u:secret@no.such.host.invalid/", "its host name is unknown"),
        ("redis://u:secret@127.0.0.1", "broker_unsupported"),
        ("amqp://u:secret@127.0.0.1:port/", "broker_unsupported"),
    ],
)
def test_a_broker_that_cannot_be_used_is_named_without_its_password(run: Run, url: str, words: str) -> None:
    Path("list.txt").write_text("http://127.0.0.1/a.jpg\n")
    finished = run("submit", "list.txt", SMARTSIGHT_BROKER_URL=url.format(port=free_port()))
    assert finished.status in (1, 2)
    assert words in finished.err
    assert "secret" not in finished.err


def test_a_worker_without_its_model_ends_and_says_why(run: Run) -> None:
    """Its processes would be started again and again, and each would say it."""
    away = f"amqp://u:secret@127.0.0.1:{free_port()}/"
    finished = run("worker", SMARTSIGHT_MODEL="mine", SMARTSIGHT_BROKER_URL=away)
    assert finished.status == 2
    assert "model_unknown" in finished.err


def test_a_worker_whose_broker_is_away_waits_and_can_be_stopped(start: Start) -> None:
    away = f"amqp://u:secret@127.0.0.1:{free_port()}/"
    with start("worker", SMARTSIGHT_CONTACT="me@example.com", SMARTSIGHT_BROKER_URL=away) as worker:
        assert worker.stderr
        first = worker.stderr.readline()
        wait_until(lambda: worker.poll() is None, 1, "the worker to live on")
        worker.terminate()
        _, words = worker.communicate(timeout=30)
    assert "Connection refused" in first
    assert worker.returncode == 0
    assert "secret" not in first + words
