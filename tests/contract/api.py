"""The service in this process, on a store of the test."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi.testclient import TestClient

from results_api.access.access import Access, KeysWanted
from results_api.service.app import make_app
from results_api.service.services import Services
from shared.settings import Settings
from shared.store.store import Store


def services_on(store: Store, **settings: Any) -> Services:
    """Return what the routes work with; nobody is asked for a key unless there is one."""
    return Services(store, Settings(**settings), Access(store, KeysWanted.IF_ANY))


@contextmanager
def client_on(services: Services) -> Iterator[TestClient]:
    """Give a client of the service."""
    app = make_app(services)
    with TestClient(app, "http://localhost:8000", raise_server_exceptions=False) as client:
        yield client
