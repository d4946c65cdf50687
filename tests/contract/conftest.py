"""A store on each kind of database, with a job in it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from results_api import encoders, exports
from results_api.service.services import Services
from shared.store.database import Database
from shared.store.store import Job, RecordedModel, Store
from tests.contract.api import Surroundings, client_on, services_on
from tests.servers.databases import empty_database

LABELS = [("n1", "cat"), ("n2", "dog")]


@pytest.fixture(scope="session")
def emptied() -> list[str]:
    """Databases that tests are done with: to empty one takes a tenth of the time that a new one takes."""
    return []


@pytest.fixture
def postgres_url(new_postgres_database: Callable[[], str], emptied: list[str]) -> Iterator[str]:
    """A database without a row on a real PostgreSQL."""
    url = emptied.pop() if emptied else new_postgres_database()
    yield url
    empty_database(url)
    emptied.append(url)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test of a store on both databases, and of the API those whose SQL is the reason."""
    if "url" in metafunc.fixturenames:
        of_api = metafunc.module.__name__.rpartition(".")[2].startswith("test_api_")
        both = not of_api or metafunc.definition.get_closest_marker("both_databases")
        metafunc.parametrize("url", ["sqlite", "postgres"] if both else ["sqlite"], indirect=True)


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    emptied: str = request.getfixturevalue("postgres_url")
    return emptied


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database)


@pytest.fixture
def model(store: Store) -> RecordedModel:
    return store.models.record("lite0", "1", LABELS)


@pytest.fixture
def job(store: Store, model: RecordedModel) -> Job:
    return store.jobs.open("key", model.id)


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> int:
    """Read and write exports in pages of so few results that a test can have many pages."""
    for module in (exports, encoders):
        monkeypatch.setattr(module, "ROW_GROUP", 400)
    return 400


@pytest.fixture
def around() -> Surroundings:
    return Surroundings()


@pytest.fixture
def services(store: Store, around: Surroundings) -> Services:
    return services_on(store, around)


@pytest.fixture
def api(services: Services) -> Iterator[TestClient]:
    """A client of the service on this store."""
    with client_on(services) as client:
        yield client
