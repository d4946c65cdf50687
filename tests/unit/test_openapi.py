"""The document of the service: it is the one that is checked in, and it leaves nothing out."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from results_api.service.app import openapi_json
from results_api.service.openapi import example_of, operations
from shared.errors import Code
from shared.items import ItemState, JobState

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
    failures = [body for status, body in operation["responses"].items() if int(status) >= 400]
    media = [body["content"]["application/json"] for body in failures if "content" in body]
    return {code for one in media for code in one["examples"]}


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
        if int(status) < 400 or status == "431":  # the last is sent before there is a request
            continue
        media = body["content"]["application/json"]
        assert media["schema"] == {"$ref": "#/components/schemas/ErrorResponse"}
        assert media["examples"]
        for name, example in media["examples"].items():
            error = example["value"]["error"]
            assert (error["code"], error["type"]) == (int(status), name)
            assert error["url"] == f"https://labels.example.com/docs/errors#{Code(name)}"


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


def _parts(part: Any, place: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object of the document, and where it is."""
    if isinstance(part, dict):
        yield place, part
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for name, value in items:
        yield from _parts(value, f"{place}/{name}")


def _examples(part: dict[str, Any]) -> list[Any]:
    """Return the examples of a media type, of a parameter or of a header."""
    named = [example["value"] for example in part.get("examples", {}).values()] if "schema" in part else []
    return [*named, *([part["example"]] if "example" in part else [])]


def _mistakes(schema: dict[str, Any], example: Any) -> list[str]:
    validator = Draft202012Validator(schema | {"components": _DOCUMENT["components"]}, validate_formats=True)
    return [str(error) for error in validator.iter_errors(example)]


def test_every_example_is_as_its_schema_says_nulls_included() -> None:
    found = 0
    for place, part in _parts(_DOCUMENT["paths"]):
        if "schema" in part:
            for example in _examples(part):
                found += 1
                assert _mistakes(part["schema"], example) == [], place
    for name, schema in _DOCUMENT["components"]["schemas"].items():
        for example in schema.get("examples", []):
            found += 1
            assert _mistakes(schema, example) == [], name
    assert found > 200


def test_all_that_is_defined_is_used_and_all_that_is_used_is_defined() -> None:
    """What Redocly and Spectral recommend beyond the rest of this file; `make openapi` runs both."""
    used = {part["$ref"] for _, part in _parts(_DOCUMENT) if isinstance(part.get("$ref"), str)}
    defined = {f"#/components/schemas/{name}" for name in _DOCUMENT["components"]["schemas"]}
    assert used == defined
    assert _DOCUMENT["info"].keys() >= {"title", "version", "description", "contact", "license"}
    assert _DOCUMENT["servers"]
    tags = {tag["name"] for tag in _DOCUMENT["tags"]}
    assert {tag for _, operation in _OPERATIONS for tag in operation["tags"]} == tags
    assert len(set(_IDS)) == len(_IDS)
    schemes = _DOCUMENT["components"]["securitySchemes"]
    for path, operation in _OPERATIONS:
        assert {name for one in operation["security"] for name in one} <= schemes.keys()
        statuses = {status[0] for status in operation["responses"]}
        assert statuses >= {"2", "4"}, path
        named = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))


@each
def test_every_header_is_described(path: str, operation: dict[str, Any]) -> None:
    for status, response in operation["responses"].items():
        headers = response.get("headers", {})
        assert "X-Request-ID" in headers or status == "431", (
            status
        )  # the last is sent before there is a request
        for header in headers.values():
            assert header["description"]
            assert header["schema"]["type"]


def test_what_has_few_values_lists_them() -> None:
    schemas = _DOCUMENT["components"]["schemas"]
    job, row, error = (schemas[name]["properties"] for name in ("JobRead", "ResultRow", "ErrorDetail"))
    assert set(job["state"]["enum"]) == {*JobState} - {JobState.DELETING}
    assert job["priority"]["enum"] == ["low", "normal", "high"]
    assert set(row["state"]["enum"]) == {*ItemState} - {ItemState.PENDING}
    assert error["type"] == {"$ref": "#/components/schemas/Code", "description": error["type"]["description"]}
    assert schemas["Code"]["enum"] == [str(code) for code in Code]
    assert job["created_at"]["format"] == row["finished_at"]["format"] == "date-time"


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
