"""Fleets: on the servers of the test run, or on servers of this process that a test may kill."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shared.classifier.model import Model
from tests.servers.fleet import Fleet
from tests.servers.pictures import PictureServer
from tests.servers.waiting import wait_until
from tests.servers.web import Web


@pytest.fixture
def pictures(samples: Path) -> Iterator[PictureServer]:
    with closing(PictureServer(samples)) as server:
        yield server


@pytest.fixture
def web(samples: Path) -> Iterator[Web]:
    with closing(Web(samples)) as web:
        yield web


@pytest.fixture
def settings(pictures: PictureServer) -> dict[str, str]:
    """What the processes of the fleet are told beside where the servers are."""
    return {"SMARTSIGHT_OWN_HOSTS": pictures.place}


@pytest.fixture
def database(new_postgres_database: Callable[[], str]) -> str:
    return new_postgres_database()


@pytest.fixture
def fleet(
    database: str, broker_url: str, settings: dict[str, str], tmp_path: Path, lite0: Model, cache_dir: Path
) -> Iterator[Fleet]:
    with closing(Fleet(database, broker_url, tmp_path, cache_dir, settings)) as fleet:
        yield fleet


def half_done(fleet: Fleet, pictures: PictureServer, count: int = 60, **settings: str) -> int:
    """Return a job that is being labelled."""
    job = fleet.submit([*pictures.urls("pictures", count), *pictures.urls("slow", 40)])
    fleet.start_worker(**settings)
    wait_until(lambda: fleet.done(job) >= 10, 60, "the first results")
    return job
