"""A job that the previous release began is finished by this one: its database and its queues are taken over.

``previous_release/`` holds what the release before left behind, as text: a PostgreSQL and an SQLite database
at its own schema, and the raw messages in its queues. Ports, labels and the version of the model differ by
machine: PORT (HEXPORT within a stored list), LABELS and VERSION stand for them. Before a
release that changes the schema or the messages, ``python -m tests.faults.previous_release.fill`` writes them
anew, with the code of the release that is to be replaced.
"""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pika
import psycopg
import pytest
from sqlalchemy import make_url

from producer.recorder import Recorder
from shared.budgets import ListBudget
from shared.classifier.model import Model
from shared.store.database import Database
from shared.store.store import Store
from tests.servers.fleet import PATIENCE, Fleet
from tests.servers.web import Web
from tests.servers.web_hosts import GOOD

_LEFT = Path(__file__).with_name("previous_release")
_HALF_DONE, _HANDED_IN, _CANCELLED = 1, 2, 3


@pytest.fixture
def settings(web: Web, tmp_path: Path) -> dict[str, str]:
    return {
        "SMARTSIGHT_HOST_DELAY": "0.05",
        "SMARTSIGHT_CONTACT": "https://crawler.example.com/about",
        **web.injection(tmp_path),
    }


@pytest.fixture
def taken_over(fleet: Fleet, broker_url: str, web: Web, lite0: Model) -> Fleet:
    _fill_postgres(fleet.database, web.port, lite0)
    _fill_queues(broker_url, fleet.topology.prefix, web.port)
    return fleet


def _left(name: str, port: int, model: Model) -> str:
    labels = json.dumps([list(label) for label in model.labels]).replace("'", "''")
    text = (_LEFT / name).read_text("utf-8").replace("HEXPORT", f":{port:05}".encode().hex())
    text = text.replace(":PORT", f":{port:05}").replace("VERSION", model.version)
    return text.replace("'LABELS'", f"'{labels}'")


def _fill_postgres(database: str, port: int, model: Model) -> None:
    url = make_url(database).set(drivername="postgresql", query={})
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        connection.execute(_left("postgres.sql", port, model).encode())


def _fill_queues(broker: str, prefix: str, port: int) -> None:
    with closing(pika.BlockingConnection(pika.URLParameters(broker))) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        text = (_LEFT / "queues.json").read_text("utf-8").replace('"previous.', f'"{prefix}.')
        for queue in json.loads(text):
            channel.queue_declare(queue["name"], durable=True, arguments=queue["arguments"])
            for message in queue["messages"]:
                body = message.pop("body").replace(":PORT", f":{port:05}")
                channel.basic_publish("", queue["name"], body.encode(), pika.BasicProperties(**message))


def test_a_fleet_finishes_the_jobs_that_the_previous_release_began(taken_over: Fleet, web: Web) -> None:
    fleet = taken_over
    before = _results(fleet, _HALF_DONE)
    assert sorted(before) == [0, 1, 2, 3, 5, 10]  # 10 is a duplicate of 0
    with closing(Database(fleet.database)) as database:
        Recorder(Store(database), ListBudget(1 << 20)).record_waiting(threading.Event())
    fleet.start_worker()
    for job, state in ((_HALF_DONE, "completed"), (_HANDED_IN, "completed"), (_CANCELLED, "cancelled")):
        fleet.wait_for(job, state)
        fleet.check_invariants(job)

    after = _results(fleet, _HALF_DONE)
    assert {index: after[index] for index in before} == before
    assert _states(fleet, _HALF_DONE) == {"succeeded": 14, "failed": 2}
    assert (after[15]["code"], after[11]["reused"]) == ("http_410", True)
    # 6 was in the delay queue, 8 waited for its host, both for a second attempt; a dead worker held 7.
    assert [after[index]["attempts"] for index in (4, 6, 7, 8)] == [1, 2, 1, 2]
    assert _states(fleet, _HANDED_IN) == {"succeeded": 3}
    assert fleet.query("SELECT malformed FROM jobs WHERE id = %s", _HANDED_IN) == [(1,)]
    assert _states(fleet, _CANCELLED) == {"succeeded": 1, "cancelled": 3}
    assert fleet.query("SELECT count(*) FROM waiting") == [(0,)]
    # What had its result was not fetched again, and the queues are the ones that this release declares.
    first, second = (web.observed(host).requests for host in GOOD[:2])
    assert (first["/ok/0"], second["/ok/1"]) == (0, 0)
    assert "queue declared differently" not in fleet.words()


def _results(fleet: Fleet, job: int) -> dict[int, dict[str, Any]]:
    columns = ("state", "code", "attempts", "reused", "class_ids", "scores", "finished_at")
    rows = fleet.query(f"SELECT index, {', '.join(columns)} FROM results WHERE job_id = %s", job)
    return {index: dict(zip(columns, values, strict=True)) for index, *values in rows}


def _states(fleet: Fleet, job: int) -> dict[str, int]:
    return dict(fleet.query("SELECT state, count(*) FROM results WHERE job_id = %s GROUP BY state", job))


def test_label_resumes_a_run_that_the_previous_release_was_killed_in(
    web: Web, tmp_path: Path, samples: Path, lite0: Model, cache_dir: Path
) -> None:
    host = "http://good-{:02}.example.com:{:05}/ok/{}"
    refs = ["astronaut.png", "camera.png", "chelsea.png"]
    refs += [host.format(1, web.port, 1), host.format(2, web.port, 2), "astronaut.png"]
    for ref in refs[:3]:
        (tmp_path / ref).write_bytes((samples / ref).read_bytes())
    (tmp_path / "list.txt").write_text("".join(f"{ref}\n" for ref in refs))
    database = tmp_path / "results.db"
    # As the previous release computed them: they find the job again.
    digest = hashlib.sha256("".join(f"{ref}\n\n" for ref in refs).encode()).hexdigest()
    asked = (digest, str(tmp_path), lite0.name, lite0.version, 5)
    key = hashlib.sha256(repr(asked).encode()).hexdigest()
    with closing(sqlite3.connect(database)) as connection:
        left = _left("sqlite.sql", web.port, lite0)
        connection.executescript(left.replace("'KEY'", f"'{key}'").replace("DIGEST", digest))
        before = connection.execute("SELECT * FROM results ORDER BY 2").fetchall()

    words = _label(tmp_path, web, cache_dir)

    assert "job 1: 3 of 6 images done" in words, words
    with closing(sqlite3.connect(database)) as connection:
        done = connection.execute("SELECT * FROM results ORDER BY 2").fetchall()
        assert [row[1] for row in done] == list(range(6))
        assert {row[2] for row in done} == {"succeeded"}
        assert [row for row in done if row[1] in (0, 1, 5)] == [
            (*row, *new[len(row) :]) for row, new in zip(before, [done[0], done[1], done[5]], strict=True)
        ]
        assert connection.execute("SELECT id, state FROM jobs").fetchall() == [(1, "completed")]
        attempts = dict(connection.execute('SELECT "index", attempts FROM results'))
        assert (attempts[2], attempts[4]) == (1, 1)


def _label(folder: Path, web: Web, cache: Path) -> str:
    settings = {"SMARTSIGHT_CACHE_DIR": str(cache), "SMARTSIGHT_CONTACT": "https://crawler.example.com/about"}
    run = subprocess.run(
        [sys.executable, "-m", "smartsight", "label", "list.txt", "--db", "sqlite:///results.db"],
        cwd=folder,
        env=os.environ | settings | web.injection(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    return run.stderr
