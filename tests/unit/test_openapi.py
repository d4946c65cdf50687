"""The document of the service: it is the one that is checked in, and it leaves nothing out."""

import json
from pathlib import Path
from typing import Any

import pytest

from results_api.service.app import openapi_json
from results_api.service.openapi import example_of, operations
from shared.errors import Code

_DOCUMENT = json.loads(openapi_json())
_OPERATIONS = list(operations(_DOCUMENT))
_IDS = [operation["operationId"] for _, operation in _OPERATIONS]
_PROBES = ("/livez", "/readyz", "/metrics")
each = pytest.mark.parametrize(("path", "operation"), _OPERATIONS, ids=_IDS)


def test_the_document_that_is_checked_in_is_the_services_own() -> None:
    """If this fails: make docs."""
    checked_in = Path(__file__).parents[2] / "docs" / "openapi.json"
    assert checked_in.read_text("utf-8") == openapi_json()


def _codes(operation: dict[str, Any]) -> set[str]:
    """Return every code that an operation's failures have an example of."""
    failures = {status: body for status, body in operation["responses"].items() if int(status) >= 400}
    return {code for body in failures.values() for code in body["content"]["application/json"]["examples"]}


@each
def test_every_operation_says_what_it_is_for(path: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"]
    assert operation["tags"]
    for parameter in operation.get("parameters", []):
        assert parameter.get("description"), parameter["name"]


@each
def test_every_success_has_an_example(path: str, operation: dict[str, Any]) -> None:
    successes = {status: body for status, body in operation["responses"].items() if int(status) < 300}
    assert successes
    for body in successes.values():
        for kind, media in body.get("content", {}).items():
            if kind == "application/json" or kind.startswith("text/"):
                assert media.get("example") or media.get("examples"), kind
        example = body.get("content", {}).get("application/json", {}).get("example")
        assert example is None or example["data"] not in ("", {}, None), "made up of nothing"


@each
def test_every_failure_has_an_example_in_the_envelope(path: str, operation: dict[str, Any]) -> None:
    for status, body in operation["responses"].items():
        if int(status) < 400:
            continue
        media = body["content"]["application/json"]
        assert media["schema"] == {"$ref": "#/components/schemas/ErrorResponse"}
        assert media["examples"]
        for name, example in media["examples"].items():
            error = example["value"]["error"]
            assert (error["code"], error["type"]) == (int(status), name)
            assert error["url"] == f"/docs/errors#{Code(name)}"


@each
def test_what_any_operation_can_fail_with_is_documented(path: str, operation: dict[str, Any]) -> None:
    wanted = {"internal_error"}
    if path not in _PROBES:
        wanted |= {"shutting_down"}
    if operation.get("security"):
        wanted |= {"key_missing", "key_invalid", "scope_missing", "too_many_requests"}
        wanted |= {"database_unavailable"}
    if "requestBody" in operation:
        wanted |= {"request_timeout", "body_too_large", "request_invalid"}
    if operation.get("parameters"):
        wanted |= {"request_invalid"}
    assert wanted <= _codes(operation)


def test_what_the_framework_says_of_itself_is_not_in_it() -> None:
    assert "HTTPValidationError" not in openapi_json()


def test_an_example_is_made_up_of_the_parts() -> None:
    schemas = {"Class": {"properties": {"class": {"examples": ["cat"]}, "score": {"examples": [0.9]}}}}
    schema = {
        "properties": {
            "type": {"const": "success"},
            "data": {"type": "array", "items": {"$ref": "#/components/schemas/Class"}},
            "next": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        }
    }
    expected = {"type": "success", "data": [{"class": "cat", "score": 0.9}], "next": None}
    assert example_of(schema, schemas) == expected
