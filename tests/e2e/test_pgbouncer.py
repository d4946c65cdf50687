"""The service, its workers and its exports on a real pgbouncer in transaction mode."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from api_client import Client
from shared.store.database import Database
from tests.e2e.conftest import Run, Start
from tests.e2e.serving import listening
from tests.servers.pgbouncer import PgBouncer
from tests.servers.pictures import PictureServer

_PATIENCE = 60


@pytest.fixture
def pictures(samples: Path) -> Iterator[PictureServer]:
    with closing(PictureServer(samples)) as server:
        yield server


@pytest.fixture
def pooled(new_postgres_database: Callable[[], str]) -> Iterator[str]:
    """A database that is reached through pgbouncer."""
    direct = new_postgres_database()
    with closing(PgBouncer(direct)) as bouncer:
        yield bouncer.url(direct)


def test_processes_share_a_session(pooled: str) -> None:
    """One after another they get the same one: what either of them left in it would be in the other's way."""
    with closing(Database(pooled)) as one, closing(Database(pooled)) as another:
        for database in (one, another) * 3:
            with database.write() as connection:
                for number in range(10):  # psycopg prepares what is executed often
                    assert connection.execute(text("SELECT :number + 1"), {"number": number}).scalar()


def test_each_transaction_may_have_another_session(
    start: Start, run: Run, pictures: PictureServer, pooled: str
) -> None:
    count, on_it = 60, {"SMARTSIGHT_DATABASE_URL": pooled}
    with (
        listening(start, command="up", SMARTSIGHT_OWN_HOSTS=pictures.place, **on_it) as service,
        Client(f"http://127.0.0.1:{service.port}") as client,
    ):
        urls = [*pictures.urls("good", count), *pictures.urls("missing", 3), *pictures.urls("good", 4)]
        for name in ("first", "second"):  # many of the same statements, on sessions that differ
            job = client.wait(client.submit(urls, name=name).id)
            assert (job.state, job.counts["succeeded"], job.counts["failed"]) == ("completed", count + 4, 3)
        for ending in ("jsonl", "csv", "parquet"):
            assert run("results", str(job.id), "--output", f"out.{ending}", **on_it).status == 0
        assert run("report", str(job.id), "--output", "report.json", **on_it).status == 0
        assert client.retry(job.id, ["http_404"]).retried == 3
        assert client.wait(job.id).counts["failed"] == 3
        client.delete(job.id)
        service.process.terminate()
        _, words = service.process.communicate(timeout=_PATIENCE)
    rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert len(rows) == len(urls)
    assert (service.process.returncode, "Traceback" in words) == (0, False), words
    assert "prepared statement" not in words
