"""A fleet on servers of its own, to be killed."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from shared.classifier.model import Model
from tests.servers.binaries import ensure_local_binaries
from tests.servers.fleet import Fleet
from tests.servers.pictures import PictureServer
from tests.servers.postgres import PostgresServer
from tests.servers.rabbit import RabbitServer


@pytest.fixture(scope="session")
def rabbit() -> Iterator[RabbitServer]:
    ensure_local_binaries()
    with closing(RabbitServer()) as server:
        server.start()
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    ensure_local_binaries()
    with closing(PostgresServer()) as server:
        server.start()
        yield server


@pytest.fixture
def pictures(samples: Path) -> Iterator[PictureServer]:
    with closing(PictureServer(samples)) as server:
        yield server


@pytest.fixture
def fleet(
    rabbit: RabbitServer,
    postgres: PostgresServer,
    pictures: PictureServer,
    tmp_path: Path,
    lite0: Model,
    cache_dir: Path,
) -> Iterator[Fleet]:
    settings = {"SMARTSIGHT_QUEUE_PREFIX": tmp_path.name, "SMARTSIGHT_OWN_HOSTS": pictures.place}
    with closing(Fleet(postgres.new_database(), rabbit.url, tmp_path, cache_dir, settings)) as fleet:
        yield fleet
