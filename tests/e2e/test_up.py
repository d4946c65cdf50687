"""`smartsight up`, and what becomes of a job when the service that takes it in is killed."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from api_client import Client
from shared.errors import SmartSightError
from tests.e2e.conftest import Run, Start
from tests.e2e.serving import listening
from tests.servers.pictures import PictureServer
from tests.servers.waiting import wait_until

_PATIENCE = 60
_LISTED = 30_000


@pytest.fixture
def pictures(samples: Path) -> Iterator[PictureServer]:
    with closing(PictureServer(samples)) as server:
        yield server


def test_one_command_takes_jobs_labels_and_answers(
    start: Start, pictures: PictureServer, samples: Path
) -> None:
    with (
        listening(start, command="up", SMARTSIGHT_OWN_HOSTS=pictures.place) as service,
        Client(f"http://127.0.0.1:{service.port}") as client,
    ):
        job = client.submit([*pictures.urls("same", 4), pictures.url("missing", 1), "no url"], name="first")
        over = client.wait(job.id)
        rows = list(client.results(job.id))
        best = client.classify(samples / "coffee.png")[0]
        by_url = client.classify(pictures.url("same", 0))[0]
        service.process.terminate()
        _, words = service.process.communicate(timeout=_PATIENCE)
    assert (over.state, over.submitted, over.counts["succeeded"]) == ("completed", 5, 4)
    assert over.malformed.count == 1
    assert rows[0]["predictions"][0]["class"] == "football helmet" == by_url.name
    assert rows[4]["code"] == "http_404"
    assert best.name == "espresso"
    assert (service.process.returncode, "Traceback" in words) == (0, False), words


@pytest.mark.parametrize("seconds", [0.03, 0.3])
def test_a_job_is_complete_or_absent_when_the_service_is_killed(start: Start, seconds: float) -> None:
    """Killed while the list arrives, or while it is recorded: half of it is never all that there is."""
    Path("list.txt").write_text("".join(f"https://a.example/{i}.jpg\n" for i in range(_LISTED)))
    with listening(start) as service:
        sending = threading.Thread(target=_submit, args=(service.port, "key"))
        sending.start()
        sending.join(seconds)
        service.process.kill()
        sending.join()
    with listening(start) as service, Client(f"http://127.0.0.1:{service.port}") as client:
        before = next(client.jobs(idempotency_key="key"), None)
        job_id = before.id if before else client.submit(Path("list.txt"), idempotency_key="key").id
        # It takes a while: whoever died had the list still.
        assert any(job.recorded for job in client.follow(job_id))
        assert client.job(job_id).submitted == _LISTED
        assert client.submit(Path("list.txt"), idempotency_key="key").id == job_id
        assert [job.id for job in client.jobs()] == [job_id]


def _submit(port: int, key: str) -> None:
    with suppress(SmartSightError), Client(f"http://127.0.0.1:{port}", attempts=1) as client:
        client.submit(Path("list.txt"), idempotency_key=key)


def test_what_label_runs_is_left_to_it(
    start: Start, run: Run, pictures: PictureServer, samples: Path
) -> None:
    """On one default database: nothing is fetched twice, and files are not taken for URLs."""
    files = [str(samples / f"{name}.{kind}") for name, kind in (("coffee", "png"), ("rocket", "jpg"))]
    urls = pictures.urls("slow", 150)
    Path("list.txt").write_text("".join(f"{ref}\n" for ref in [*files, *urls]))
    Path("many").mkdir()
    for number in range(300):
        (Path("many") / f"{number}.jpg").symlink_to(files[1])
    hosts = {"SMARTSIGHT_OWN_HOSTS": pictures.place}
    with listening(start, command="up", **hosts) as service:
        for source, count in (("list.txt", 152), ("many", 300)):
            finished = run("label", source, **hosts)
            assert f"{count} images: {count} succeeded; {count} in " in finished.err
        service.process.terminate()
        _, words = service.process.communicate(timeout=_PATIENCE)
    assert set(pictures.asked.values()) == {1}
    assert (service.process.returncode, "Traceback" in words) == (0, False), words
    with closing(sqlite3.connect("data/smartsight.db")) as connection:
        waiting = connection.execute("SELECT count(*) FROM waiting").fetchall()
        jobs = connection.execute("SELECT DISTINCT state, holder FROM jobs").fetchall()
    assert (waiting, jobs) == ([(0,)], [("completed", None)])


def test_a_job_is_labelled_by_one_command_at_a_time(start: Start, run: Run, pictures: PictureServer) -> None:
    """And by the next one as soon as the first was killed."""
    Path("list.txt").write_text("".join(f"{url}\n" for url in pictures.urls("hang", 3)))
    hosts = {"SMARTSIGHT_OWN_HOSTS": pictures.place}
    with start("label", "list.txt", **hosts) as first:
        wait_until(lambda: len(pictures.asked) == 3, _PATIENCE, "the first to begin")
        second = run("label", "list.txt", **hosts)
        first.kill()
    assert (second.status, "job_not_ready" in second.err) == (2, True)
    assert "another `smartsight label` is running job 1" in second.err
    assert set(pictures.asked.values()) == {1}
    pictures.hangs = 0
    third = run("label", "list.txt", **hosts)
    assert (third.status, "Stored as job 1 in " in third.err) == (0, True)
