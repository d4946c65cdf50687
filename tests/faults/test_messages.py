"""Messages that come too often or that nobody can read, cut submissions, and commands on running jobs."""

import json
import random
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pika
import pytest

from tests.servers.fleet import Fleet
from tests.servers.pictures import PictureServer
from tests.servers.waiting import wait_until


def test_messages_that_come_three_times_are_counted_once(fleet: Fleet, pictures: PictureServer) -> None:
    urls = [*pictures.urls("pictures", 80), *pictures.urls("missing", 5)]
    job = fleet.submit(urls)
    bodies = [
        json.dumps({"v": 1, "job": job, "index": index, "ref": url, "attempt": 1}).encode()
        for index, url in enumerate(urls)
    ] * 2
    random.Random(7).shuffle(bodies)
    fleet.publish(fleet.topology.bulk, bodies)
    fleet.start_worker(processes=2)
    fleet.wait_for(job)
    fleet.check_invariants(job)
    assert [row["code"] for row in fleet.rows(job)] == [None] * 80 + ["http_404"] * 5


def test_what_nobody_can_read_is_set_aside_and_the_rest_goes_on(
    fleet: Fleet, pictures: PictureServer
) -> None:
    job = fleet.submit(pictures.urls("pictures", 30))
    stranger = json.dumps({"v": 1, "job": 10**9, "index": 0, "ref": "http://h/", "attempt": 1}).encode()
    newer = json.dumps({"v": 2, "job": job, "index": 0, "ref": "http://h/", "attempt": 1}).encode()
    fleet.publish(fleet.topology.bulk, [b"{", b"\xff\xfe", newer, stranger, b"[" * 60_000])
    fleet.start_worker()
    fleet.wait_for(job)
    fleet.check_invariants(job)
    wait_until(lambda: fleet.ready(fleet.topology.unreadable) == 4, 30, "four messages to be set aside")
    assert fleet.ready(fleet.topology.bulk) == 0


def test_a_message_that_the_broker_gave_up_becomes_a_result(fleet: Fleet, pictures: PictureServer) -> None:
    job = fleet.submit(pictures.urls("pictures", 1))
    with closing(pika.BlockingConnection(pika.URLParameters(fleet.broker))) as connection:
        channel = connection.channel()
        wait_until(lambda: channel.basic_get(fleet.topology.bulk)[0], 10, "the message")
        channel.basic_nack(0, multiple=True, requeue=False)
    fleet.start_worker()
    fleet.wait_for(job)
    fleet.check_invariants(job)
    assert fleet.rows(job)[0]["code"] == "worker_crashed"


@pytest.mark.parametrize(
    "fault",
    [
        "before items.add",
        "after items.add",
        "before jobs.mark_published",
        "after jobs.mark_published",
        "after jobs.mark_recorded",
    ],
)
def test_a_submission_killed_at_any_moment_goes_on_with_its_key(
    fault: str, fleet: Fleet, pictures: PictureServer, tmp_path: Path
) -> None:
    urls = [*pictures.urls("missing", 2500), *pictures.urls("missing", 500)]
    lives = tmp_path / "lives"
    lives.mkdir()
    (lives / "life").touch()
    settings = {
        "PYTHONPATH": f"{Path(__file__).with_name('inject')}:{Path(__file__).parents[2]}",
        "SMARTSIGHT_TEST_FAULT": fault,
        "SMARTSIGHT_TEST_LIVES": str(lives),
    }
    command = ("submit", fleet.write_list(urls), "--idempotency-key", "mine")
    fleet.run_apart(*command, status=-9, **settings)
    job = int(fleet.run_apart(*command, **settings)[0])
    assert int(fleet.run(*command)[0]) == job
    assert fleet.query("SELECT id, submitted, sealed FROM jobs") == [(job, 3000, True)]
    refs = [ref for (ref,) in fleet.query("SELECT ref FROM items WHERE job_id = %s ORDER BY index", job)]
    assert refs == urls
    fleet.start_worker()
    fleet.wait_for(job)
    fleet.check_invariants(job)


def test_a_key_is_not_taken_for_another_list(fleet: Fleet, pictures: PictureServer) -> None:
    fleet.submit(pictures.urls("missing", 3), "--idempotency-key", "mine")
    other = fleet.write_list(pictures.urls("missing", 4), "other.txt")
    _, words = fleet.run("submit", other, "--idempotency-key", "mine", status=2)
    assert "key_taken" in words


def test_a_job_is_cancelled_within_seconds_and_keeps_what_was_done(
    fleet: Fleet, pictures: PictureServer
) -> None:
    job = fleet.submit([*pictures.urls("pictures", 20), *pictures.urls("slow", 500)])
    fleet.start_worker()
    wait_until(lambda: fleet.done(job) >= 20, 60, "some results")
    fleet.run("cancel", str(job))
    assert fleet.state(job) == "cancelled"
    fleet.check_invariants(job)
    asked = sum(pictures.asked.values())
    other = fleet.submit(pictures.urls("pictures", 10, start=20))
    fleet.wait_for(other, patience=20)
    assert sum(pictures.asked.values()) - asked < 10 + 200, "the cancelled job goes on"
    states = [row["state"] for row in fleet.rows(job)]
    assert states.count("succeeded") >= 20
    assert set(states) == {"succeeded", "cancelled"}


def test_what_waits_for_another_try_is_told_given_up_and_not_fetched_again(
    fleet: Fleet, pictures: PictureServer
) -> None:
    fleet.topology = replace(fleet.topology, retry_delays=(5.0,))
    job = fleet.submit([*pictures.urls("pictures", 10), *pictures.urls("error", 3)])
    fleet.start_worker(SMARTSIGHT_RETRY_DELAYS="5")
    wait_until(
        lambda: "3 images wait for another try at " in fleet.run("jobs", str(job))[0], 60, "all to wait"
    )
    _, words = fleet.run("give-up", str(job))
    assert f"Job {job}: 3 waiting images were given up." in words
    fleet.wait_for(job)
    fleet.check_invariants(job)
    fleet.check_queues_are_empty()
    fleet.check_invariants(job)
    assert [pictures.asked[f"/error/{number}"] for number in range(3)] == [1, 1, 1]
    assert [row["code"] for row in fleet.rows(job) if row["state"] == "failed"] == ["http_5xx"] * 3


def test_a_job_over_its_budget_pauses_is_resumed_and_its_failures_are_tried_again(
    fleet: Fleet, pictures: PictureServer
) -> None:
    urls = [*pictures.urls("missing", 60), *pictures.urls("error", 3), *pictures.urls("slow", 60)]
    job = fleet.submit(urls, "--max-failure-rate", "0.5")
    fleet.start_worker(SMARTSIGHT_RETRY_DELAYS="0.5", SMARTSIGHT_CONCURRENCY="4")
    fleet.wait_for(job, "paused")
    output, _ = fleet.run("jobs", str(job))
    assert "images failed" in output
    assert "http_404" in output
    fleet.run("resume", str(job))
    fleet.wait_for(job)
    fleet.check_invariants(job)
    _, words = fleet.run("retry", str(job))
    assert "3 images will be retried" in words
    fleet.wait_for(job)
    fleet.check_invariants(job)
    _, words = fleet.run("retry", str(job), "--code", "http_404")
    assert "60 images will be retried" in words
    fleet.wait_for(job)
    fleet.check_invariants(job)
    assert pictures.asked["/missing/0"] == 2
    assert pictures.asked["/slow/0"] == 1
    _, words = fleet.run("watch", str(job), status=1)
    assert f"Job {job} is completed." in words
