"""`smartsight up`: the service and a worker by one command."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from api_client import Client
from tests.e2e.conftest import Start
from tests.e2e.serving import listening
from tests.servers.pictures import PictureServer

_PATIENCE = 60


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
