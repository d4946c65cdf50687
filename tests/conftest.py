"""Fixtures for all tests. The product's settings in the environment are taken away before anything runs."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from shared.classifier.catalogue import Catalogue
from shared.classifier.model import Model
from tests.scheduling import Scheduling, place_of
from tests.servers.binaries import ensure_local_binaries
from tests.servers.finding import broker_server, database_server
from tests.servers.postgres import PostgresServer
from tests.servers.rabbit import RabbitServer

_TEST_DATA = Path(os.environ.get("SMARTSIGHT_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
SAMPLES = Path(__file__).parents[1] / "samples"

for _name in list(os.environ):
    if _name.startswith("SMARTSIGHT_") and not _name.startswith("SMARTSIGHT_TEST_"):
        del os.environ[_name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: place_of(item.nodeid))


@pytest.hookimpl(optionalhook=True)  # it is there where xdist is
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of labelled and of hostile pictures, which does not ship with the project."""
    if not _TEST_DATA.is_dir():
        pytest.skip(f"left out: no test pictures at {_TEST_DATA} (SMARTSIGHT_TEST_DATA names the folder)")
    return _TEST_DATA


@pytest.fixture(scope="session")
def samples() -> Path:
    return SAMPLES


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this test run, the same for all processes that run its tests."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def cache_dir(run_folder: Path) -> Path:
    """Where models are built, once for all tests, and for all processes that run them."""
    return run_folder / "cache"


@pytest.fixture(scope="session")
def lite0(cache_dir: Path) -> Model:
    """The default model, really built."""
    return Catalogue(cache_dir, cache_dir / "data").model("lite0")


@pytest.fixture(scope="session")
def new_postgres_database(run_folder: Path) -> Iterator[Callable[[], str]]:
    """What makes an empty database on the PostgreSQL of this test run and returns its URL."""
    with database_server(run_folder) as make:
        yield make


@pytest.fixture(scope="session")
def broker_url(run_folder: Path) -> Iterator[str]:
    """The URL of the RabbitMQ of this test run: it serves others as well, who have queues of other names."""
    with broker_server(run_folder) as url:
        yield url


@pytest.fixture(scope="session")
def _rabbit() -> Iterator[RabbitServer]:
    ensure_local_binaries()
    with closing(RabbitServer()) as server:
        yield server


@pytest.fixture(scope="session")
def _postgres() -> Iterator[PostgresServer]:
    ensure_local_binaries()
    with closing(PostgresServer()) as server:
        yield server


@pytest.fixture
def mortal_rabbit(_rabbit: RabbitServer) -> RabbitServer:
    """A RabbitMQ that only this process uses, to be killed."""
    _rabbit.revive()
    return _rabbit


@pytest.fixture
def mortal_postgres(_postgres: PostgresServer) -> PostgresServer:
    """A PostgreSQL that only this process uses, to be killed."""
    _postgres.revive()
    return _postgres


@pytest.fixture
def encoded() -> Callable[..., bytes]:
    """Return a function that encodes a picture as an image file."""

    def encode(image: Image.Image, format: str, **options: object) -> bytes:
        stream = io.BytesIO()
        image.save(stream, format, **options)
        return stream.getvalue()

    return encode


@pytest.fixture
def halves() -> Image.Image:
    """A picture 64 wide and 32 high, red on the left and blue on the right."""
    image = Image.new("RGB", (64, 32), "red")
    image.paste("blue", (32, 0, 64, 32))
    return image


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
