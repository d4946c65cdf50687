"""Whatever the document allows is answered as the document says, and never by a defect of the server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from results_api.access import KeysRequired
from results_api.service.app import make_app, openapi_json
from shared.store.database import Database
from shared.store.store import Store
from tests.contract.api import Surroundings, client_on, record_lists, services_on

_OPERATIONS = [
    (method, path) for path, methods in json.loads(openapi_json())["paths"].items() for method in methods
]


_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The document of a service that has a job that is over, and asks for no keys."""
    folder: Path = tmp_path_factory.mktemp("schema")
    database = Database(f"sqlite:///{folder / 'test.db'}")
    store = Store(database)
    services = services_on(store, Surroundings(wanted=KeysRequired.NEVER))
    with client_on(services) as client:
        _hand_in(client)
    record_lists(store)
    store.jobs.cancel(1)
    store.results.cancel_pending(1, 0, 10)
    assert store.jobs.complete(1)
    yield schemathesis.openapi.from_asgi("/openapi.json", make_app(services))
    database.close()


def _hand_in(client: TestClient) -> None:
    answer = client.post("/v1/jobs", json={"urls": ["https://a.example/1.jpg"]})
    assert answer.json()["data"]["id"] == 1


@pytest.mark.parametrize(("method", "path"), _OPERATIONS)
def test_every_operation_answers_as_the_document_says(schema: Any, method: str, path: str) -> None:
    @settings(
        max_examples=40,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=schema[path][method.upper()].as_strategy())
    def check(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=_CHECKS)

    check()
