"""A store on each kind of database, with a job in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from results_api.service.services import Services
from shared.store.database import Database
from shared.store.store import Job, RecordedModel, Store
from tests.contract.api import Surroundings, client_on, services_on

LABELS = [("n1", "cat"), ("n2", "dog")]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    made: str = request.getfixturevalue("new_postgres_database")()
    return made


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
    return store.record_model("lite0", "1", LABELS)


@pytest.fixture
def job(store: Store, model: RecordedModel) -> Job:
    return store.open_job("key", model.id)


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
