"""`smartsight up`, and what becomes of a job when the service that takes it in is killed."""

import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from api_client import Client
from shared.errors import SmartSightError
from tests.e2e.conftest import Start
from tests.e2e.serving import listening
from tests.servers.pictures import PictureServer

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
