"""The pipeline when nothing goes wrong but the images."""

import json
import urllib.request

from tests.servers.fleet import Fleet, stop
from tests.servers.pictures import PictureServer
from tests.servers.ports import free_port
from tests.servers.waiting import wait_until


def test_a_crawl_is_labelled_and_every_image_without_a_label_has_its_reason(
    fleet: Fleet, pictures: PictureServer
) -> None:
    urls = [
        *pictures.urls("pictures", 30),
        *pictures.urls("flaky", 2),
        *pictures.urls("missing", 2),
        *pictures.urls("broken", 2),
        *pictures.urls("error", 1),
        *pictures.urls("pictures", 5),
        *pictures.urls("same", 12),
        pictures.url("busy", 1),
    ]
    job = fleet.submit(urls, "--name", "crawl")
    port = free_port()
    worker = fleet.start_worker(processes=2, SMARTSIGHT_METRICS_PORT=str(port))
    fleet.wait_for(job)
    fleet.check_invariants(job)
    _check_metrics(port)
    assert stop(worker) == 0
    rows = fleet.rows(job)
    assert [row["ref"] for row in rows] == urls
    codes = [row["code"] for row in rows]
    assert codes == [None] * 32 + ["http_404"] * 2 + ["not_an_image"] * 2 + ["http_5xx"] + [None] * 18
    assert [row["reused"] for row in rows[37:42]] == [True] * 5
    assert sum(not row["reused"] for row in rows[42:54]) in (6, 7, 8)
    assert pictures.asked["/error/0"] == 4
    assert all(pictures.asked[f"/pictures/{number}"] == 1 for number in range(30))
    for number, row in enumerate(rows[:30]):
        assert row["predictions"] == rows[number % 6]["predictions"]


def _metrics(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")
    }


def _check_metrics(port: int) -> None:
    wait_until(
        lambda: _metrics(port).get("smartsight_backlog_items") == 0, 10, "the backlog to be worked off"
    )
    metrics = _metrics(port)
    # Of 55 items, 6 have the reference of another one and take its result in the database.
    assert metrics['smartsight_items_total{code="",state="succeeded"}'] == 45
    assert metrics['smartsight_items_total{code="http_404",state="failed"}'] == 2
    assert metrics['smartsight_retries_total{code="http_5xx"}'] == 5
    assert metrics['smartsight_retries_total{code="rate_limited"}'] == 1
    assert metrics["smartsight_reused_total"] in (4, 5, 6)
    assert metrics['smartsight_stage_seconds_count{stage="label"}'] >= 39
    assert metrics["smartsight_queue_depth"] == 0


def test_logs_are_objects_and_keep_what_is_in_a_query_to_themselves(
    fleet: Fleet, pictures: PictureServer
) -> None:
    urls = [f"{url}?token=secret" for url in (pictures.url("missing", 1), "http://no.such.host.invalid/x/1")]
    job = fleet.submit(urls)
    worker = fleet.start_worker()
    fleet.wait_for(job)
    assert stop(worker) == 0
    lines = [json.loads(line) for line in fleet.words().splitlines()]
    assert lines
    assert all({"timestamp", "level", "logger", "message"} <= line.keys() for line in lines)
    assert "secret" not in fleet.words()
    assert "guest:guest" not in fleet.words()
