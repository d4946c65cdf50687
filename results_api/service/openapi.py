"""The OpenAPI document: adds the errors that operations have in common, and whole examples."""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from results_api.service.error_responses import error_responses
from results_api.service.headers import described
from results_api.service.middleware import OPERATIONS
from results_api.service.responses import ErrorResponse, with_nulls
from shared.errors import Code

Json = dict[str, Any]

_METHODS = ("get", "put", "post", "delete", "patch")
#: Errors of operations that require a key, of those with a body, and of those with parameters.
_WITH_KEY = (
    *(Code.KEY_MISSING, Code.KEY_INVALID, Code.SCOPE_MISSING, Code.ORIGIN_REFUSED),
    *(Code.TOO_MANY_REQUESTS, Code.DATABASE_UNAVAILABLE),
)
_WITH_BODY = (Code.REQUEST_TIMEOUT, Code.BODY_TOO_LARGE)
_WITH_INPUT = (Code.REQUEST_INVALID,)
_LARGE_HEAD = "The head of the request has more than 64 KiB; the connection is closed."
_REFERENCE = "#/components/schemas/"
#: Examples by type, for fields without one.
_BY_TYPE = {"string": "", "integer": 0, "number": 0.0, "boolean": False, "object": {}}


def openapi_of(app: FastAPI) -> Json:
    """Return the OpenAPI document of an app."""
    document: Json = with_nulls(
        get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
            servers=[{"url": "/", "description": "The server that this document comes from."}],
            contact=app.contact,
            license_info=app.license_info,
        )
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= _error_schemas()
    for path, operation in operations(document):
        codes = _common(path, operation)
        if operation["responses"].get("422", {}).get("description") == "Validation Error":
            del operation["responses"]["422"]  # FastAPI's own body, which no response has
        for status, response in error_responses(*codes).items():
            _add(operation["responses"], str(status), response)
        operation.setdefault("security", [])
        for status, response in operation["responses"].items():
            _exemplify(response, schemas)
            response.setdefault("headers", {}).update(_headers_of(status))
        operation["responses"]["431"] = {"description": _LARGE_HEAD}
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return document


def operations(document: Json) -> Iterator[tuple[str, Json]]:
    """Yield the path and the description of each operation."""
    for path, methods in document["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield path, methods[method]


def _common(path: str, operation: Json) -> tuple[Code, ...]:
    codes: tuple[Code, ...] = (Code.INTERNAL_ERROR,)
    if path not in OPERATIONS:
        codes += (Code.SHUTTING_DOWN,)
    if operation.get("security"):
        codes += _WITH_KEY
    if "requestBody" in operation:
        codes += _WITH_BODY
    if "requestBody" in operation or operation.get("parameters"):
        codes += _WITH_INPUT
    return codes


def _error_schemas() -> Json:
    schema = ErrorResponse.model_json_schema(ref_template=_REFERENCE + "{model}")
    parts: Json = schema.pop("$defs")
    return parts | {"ErrorResponse": schema}


def _add(responses: Json, status: str, response: Json) -> None:
    """Add errors to those that the route declares."""
    content = responses.setdefault(status, {"content": {"application/json": {}}})["content"]
    media = content.setdefault("application/json", {})
    media.setdefault("schema", {"$ref": f"{_REFERENCE}ErrorResponse"})
    examples = response["content"]["application/json"]["examples"] | media.get("examples", {})
    media["examples"] = {name: examples[name] for name in sorted(examples)}
    responses[status]["description"] = ", ".join(f"`{name}`" for name in media["examples"])


def _headers_of(status: str) -> Json:
    """Return the headers that every response with this status has."""
    more = {"401": ("WWW-Authenticate",), "429": ("Retry-After",), "503": ("Retry-After",)}
    return described("X-Request-ID", *more.get(status, ()))


def _exemplify(response: Json, schemas: Mapping[str, Json]) -> None:
    """Give a response an example, composed of those of its model's fields."""
    for kind, media in response.get("content", {}).items():
        if kind == "application/json" and not {"example", "examples"} & media.keys() and "schema" in media:
            media["example"] = example_of(media["schema"], schemas)


def example_of(schema: Json, schemas: Mapping[str, Json]) -> Any:
    """Return the example of a schema, or one composed of those of its parts."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].removeprefix(_REFERENCE)], schemas)
    own = _own_examples(schema)
    if own:
        return own[0]
    if "properties" in schema:
        return {name: example_of(part, schemas) for name, part in schema["properties"].items()}
    if schema.get("type") == "array":
        return [example_of(schema["items"], schemas)]
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], schemas)
    return _BY_TYPE.get(schema.get("type", ""))


def _own_examples(schema: Json) -> list[Any]:
    single = [schema[word] for word in ("const", "default") if word in schema]
    return [*schema.get("examples", []), *schema.get("enum", []), *single]
