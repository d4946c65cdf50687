"""Fixtures for all tests. The product's settings in the environment are taken away before anything runs."""

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from shared.classifier.catalogue import Catalogue
from shared.classifier.model import Model
from tests.servers.finding import broker_server, database_server

_TEST_DATA = Path(os.environ.get("SMARTSIGHT_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
SAMPLES = Path(__file__).parents[1] / "samples"

for _name in list(os.environ):
    if _name.startswith("SMARTSIGHT_") and not _name.startswith("SMARTSIGHT_TEST_"):
        del os.environ[_name]


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
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where models are built, once for all tests, and for all processes that run them."""
    folder = tmp_path_factory.getbasetemp()
    return (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "cache"


@pytest.fixture(scope="session")
def lite0(cache_dir: Path) -> Model:
    """The default model, really built."""
    return Catalogue(cache_dir, cache_dir / "data").model("lite0")


@pytest.fixture(scope="session")
def new_postgres_database() -> Iterator[Callable[[], str]]:
    """What makes an empty database on a real PostgreSQL and returns its URL."""
    with database_server() as make:
        yield make


@pytest.fixture(scope="session")
def broker_url() -> Iterator[str]:
    """The URL of a real RabbitMQ."""
    with broker_server() as url:
        yield url


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
