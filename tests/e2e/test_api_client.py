"""The Python client and `--api` against a real service, with a worker, on the embedded default."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from api_client import Client
from shared.errors import Code, RequestError
from shared.items import ItemState, JobState
from tests.e2e.conftest import Finished, Run, Start
from tests.servers.pictures import PictureServer
from tests.servers.ports import free_port
from tests.servers.waiting import wait_until

_PATIENCE = 60


@pytest.fixture
def pictures(samples: Path) -> Iterator[PictureServer]:
    with closing(PictureServer(samples)) as server:
        yield server


class Service:
    """A service of this test, and the commands that ask it."""

    def __init__(self, run: Run, start: Start, settings: dict[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._run = run
        self._start = start
        self._settings = settings

    @contextmanager
    def running(self, *command: str) -> Iterator[None]:
        """Run a part of the service, which ends in good order."""
        with self._start(*command, **self._settings) as process:
            try:
                yield
            finally:
                process.terminate()
                _, words = process.communicate(timeout=_PATIENCE)
        assert (process.returncode, "Traceback" in words) == (0, False), words

    def ask(self, *command: str, stdin: str = "") -> Finished:
        """Run a command over the API, on a machine that has no database of its own."""
        elsewhere = {"SMARTSIGHT_API_URL": self.url, "SMARTSIGHT_DATABASE_URL": "sqlite:////no/database.db"}
        return self._run(*command, "--api", stdin=stdin, **elsewhere)

    def wait_until_it_answers(self) -> None:
        check = ("api", "--check", "--port", str(self.port))
        wait_until(lambda: self._run(*check).status == 0, _PATIENCE, "the service")

    def working(self) -> "ExitStack":
        """Give what ends the worker that runs from now on."""
        with ExitStack() as stack:
            stack.enter_context(self.running("worker"))
            return stack.pop_all()


@pytest.fixture
def service(run: Run, start: Start, pictures: PictureServer, tmp_path: Path) -> Iterator[Service]:
    settings = {
        "SMARTSIGHT_OWN_HOSTS": pictures.place,
        "SMARTSIGHT_RUN_DIR": str(tmp_path / "run"),
        "SMARTSIGHT_RETRY_DELAYS": "0.2",
    }
    service = Service(run, start, settings)
    with service.running("api", "--port", str(service.port)):
        service.wait_until_it_answers()
        yield service


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(service.url) as client:
        yield client


def test_the_client_does_all_that_a_crawl_needs(
    client: Client, service: Service, pictures: PictureServer, samples: Path
) -> None:
    coffee = samples / "coffee.png"
    by_path, by_bytes = client.classify(coffee), client.classify(coffee.read_bytes())
    assert [guess.name for guess in by_path] == [guess.name for guess in by_bytes]
    assert (by_path[0].name, by_path[0].wordnet_id) == ("espresso", "n07920052")
    assert len(client.classify(pictures.url("same", 0), top=2)) == 2

    urls = [(url, f"mine {number}") for number, url in enumerate(pictures.urls("pictures", 12))]
    job = client.submit([*urls, pictures.url("missing", 1), "no url"], name="one", idempotency_key="one")
    again = client.submit([*urls, pictures.url("missing", 1), "no url"], name="one", idempotency_key="one")
    assert job.id == again.id
    with service.working():
        seen: list[int] = []
        job = client.wait(job.id, on_change=lambda job: seen.append(job.done))
    assert (job.state, job.submitted, job.done, job.malformed.count) == (JobState.COMPLETED, 13, 13, 1)
    assert (job.counts[ItemState.SUCCEEDED], job.counts[ItemState.FAILED]) == (12, 1)
    assert [(count.code, count.count) for count in job.codes] == [("http_404", 1)]
    assert seen == sorted(seen)
    assert [found.id for found in client.jobs()] == [job.id]

    rows = list(client.results(job.id))
    assert [row["index"] for row in rows] == list(range(13))
    assert [row["custom_id"] for row in rows[:12]] == [custom_id for _, custom_id in urls]
    assert list(client.results(job.id, cursor=rows[4]["cursor"])) == rows[5:]
    assert [row["index"] for row in client.results(job.id, state="failed")] == [12]
    client.download(job.id, "csv", "out.csv")
    assert len(Path("out.csv").read_text("utf-8").splitlines()) == 14
    client.download(job.id, "parquet", "out.parquet")
    assert Path("out.parquet").read_bytes()[:4] == b"PAR1"
    assert client.summary(job.id)
    assert [row["job"] for row in client.image(url=urls[0][0])] == [job.id]

    client.delete(job.id)
    with pytest.raises(RequestError) as caught:
        client.job(job.id)
    assert caught.value.code is Code.JOB_UNKNOWN


def test_what_failed_is_tried_again_and_a_job_is_cancelled(
    client: Client, service: Service, pictures: PictureServer
) -> None:
    job = client.submit([pictures.url("missing", 1), pictures.url("same", 1)])
    with service.working():
        assert client.wait(job.id).counts[ItemState.FAILED] == 1
        assert client.retry(job.id, ["http_404"]).retried == 1
        assert client.wait(job.id).counts[ItemState.FAILED] == 1
    assert pictures.asked["/missing/1"] == 2
    stopped = client.submit(pictures.urls("pictures", 3))
    for now in client.follow(stopped.id):
        if now.recorded:
            break
    client.cancel(stopped.id)
    ended = client.wait(stopped.id)
    assert (ended.state, ended.counts[ItemState.CANCELLED]) == (JobState.CANCELLED, 3)
    with pytest.raises(RequestError) as caught:
        client.resume(stopped.id)
    assert caught.value.code is Code.JOB_NOT_READY


def test_commands_do_the_same_over_the_api(
    service: Service, pictures: PictureServer, samples: Path, run: Run
) -> None:
    urls = [*pictures.urls("pictures", 4), pictures.url("missing", 1)]
    Path("list.csv").write_text("image,sku\n" + "".join(f"{url},{place}\n" for place, url in enumerate(urls)))
    submitted = service.ask(
        "submit", "list.csv", "--column", "image", "--id-column", "sku", "--name", "first"
    )
    assert (submitted.status, submitted.out) == (0, "1\n"), submitted.err
    assert "5 images recorded. See `smartsight watch 1 --api`." in submitted.err
    from_stdin = service.ask("submit", "-", pictures.url("same", 1), stdin="a/path.jpg\n")
    assert (from_stdin.status, from_stdin.out) == (1, "2\n"), from_stdin.err
    assert "left out: a/path.jpg" in from_stdin.err
    with service.working():
        watched = service.ask("watch", "1")
        assert service.ask("watch", "2").status == 0
    assert (watched.status, "Job 1 is completed." in watched.err) == (1, True)
    assert "http_404" in watched.err
    for command in (
        ["results", "1"],
        ["results", "1", "--output", "-"],
        ["classify", str(samples / "coffee.png")],
    ):
        remote, here = service.ask(*command), run(*command)
        assert (remote.status, remote.out) == (here.status, here.out), remote.err
    described, here = service.ask("jobs", "1"), run("jobs", "1")
    assert described.out.replace("retry 1 --api", "retry 1") == here.out
    assert service.ask("jobs").out == run("jobs").out
    assert "1 images will be retried" in service.ask("retry", "1", "--code", "http_404").err
    assert service.ask("cancel", "1").status == 0
    wait_until(lambda: run("jobs", "1", "--json").json()["state"] == "cancelled", _PATIENCE, "the end")
    for command in (["resume", "1"], ["cancel", "99"]):
        remote, here = service.ask(*command), run(*command)
        assert (remote.status, remote.err) == (here.status, here.err) == (2, here.err)


def test_a_key_is_asked_for_once_there_is_one(service: Service, run: Run) -> None:
    key = run("keys", "create", "reader", "--scope", "read").out.strip()
    refused = service.ask("jobs")
    assert (refused.status, "key_missing" in refused.err) == (1, True)
    with Client(service.url, key) as client:
        assert list(client.jobs()) == []
        with pytest.raises(RequestError) as caught:
            client.submit(["https://images.example.com/1.jpg"])
    assert caught.value.code is Code.SCOPE_MISSING
    assert key not in str(caught.value)
