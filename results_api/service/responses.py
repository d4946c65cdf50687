"""Responses: the JSON envelope, entity tags, content negotiation, server-sent events."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Generic, Literal, TypeVar

import orjson
from fastapi import Response
from pydantic import BaseModel, Field, WithJsonSchema

from shared.errors import Code, RequestError

T = TypeVar("T")

_JSON_FORM = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS | orjson.OPT_NON_STR_KEYS

#: The page of this service that explains error codes, and its URL in the documentation's examples.
ERRORS_PAGE = "/docs/errors"
EXAMPLE_ERRORS_PAGE = f"https://labels.example.com{ERRORS_PAGE}"


#: A time as the API writes it; it is not parsed.
Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


class ResponseMeta(BaseModel):
    """What stands beside the data."""

    type: Literal["success"] = "success"
    code: int = Field(200, description="The HTTP status.")


class PageMeta(ResponseMeta):
    """The same for one page of a list."""

    next_cursor: str | None = Field(
        None, description="Pass it as `cursor` for the next page; null on the last one."
    )


class SuccessResponse(BaseModel, Generic[T]):
    """The envelope of a successful response, that of the first SmartSight's API."""

    meta: ResponseMeta
    data: T


class PageResponse(BaseModel, Generic[T]):
    """The envelope of one page of a list."""

    meta: PageMeta
    data: list[T]


#: Stands for null in examples.
_NULL = "<null>"
#: Our names of the alternatives of a value, which are no part of its place.
ALTERNATIVES = ("<url>", "<object>")


class ErrorDetail(BaseModel):
    """Why a request failed."""

    code: int = Field(description="The HTTP status.")
    message: str = Field(description="What went wrong, for people.")
    url: str = Field(description="The page that explains the error.")
    type: Code = Field(description="The stable code of the error.")


class ErrorResponse(BaseModel):
    """The envelope of a failed response."""

    error: ErrorDetail


def example(body: Any) -> Any:
    """Return an example for the documentation, where FastAPI would leave out nulls: see ``with_nulls``."""
    if isinstance(body, dict):
        return {name: example(value) for name, value in body.items()}
    if isinstance(body, list):
        return list(map(example, body))
    return _NULL if body is None else body


def with_nulls(part: Any) -> Any:
    """Return a part of the documentation with the nulls of its examples."""
    if isinstance(part, dict):
        return {name: with_nulls(value) for name, value in part.items()}
    if isinstance(part, list):
        return list(map(with_nulls, part))
    return None if part == _NULL else part


def success_body(data: Any, status: int = 200) -> dict[str, Any]:
    """Return the body of a successful response."""
    return {"meta": {"type": "success", "code": status}, "data": data}


def page_body(data: list[Any], next_cursor: str | None) -> dict[str, Any]:
    """Return the body of a page of a list."""
    return {"meta": {"type": "success", "code": 200, "next_cursor": next_cursor}, "data": data}


def error_body(code: Code, message: str, status: int, page: str) -> dict[str, Any]:
    """Return the body of a failed response; ``page`` is the URL of the page that explains the codes."""
    return {"error": {"code": status, "message": message, "url": f"{page}#{code}", "type": str(code)}}


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response; times have the one form of `shared.times`.

    Faster than FastAPI's own way, which validates the body against the response model.
    """
    content = orjson.dumps(body, option=_JSON_FORM)
    return Response(content, status, headers, media_type="application/json")


def entity_tag(content: bytes) -> str:
    """Return the ``ETag`` of a content."""
    digest = hashlib.blake2b(content, digest_size=12).hexdigest()
    return f'"{digest}"'


def entity_tag_of_json(body: Any) -> str:
    """Return the ``ETag`` of a JSON body."""
    return entity_tag(orjson.dumps(body))


def matches(tag: str, if_none_match: str | None) -> bool:
    """Tell whether the client has the content already (RFC 9110, section 13.1.2)."""
    known = [word.strip().removeprefix("W/") for word in (if_none_match or "").split(",")]
    return tag in known or "*" in known


def server_sent_event(name: str, data: Any, id_: str) -> bytes:
    """Return an event whose data is one line of JSON.

    https://html.spec.whatwg.org/multipage/server-sent-events.html, section 9.2
    """
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), id_.encode(), orjson.dumps(data))


def heartbeat() -> bytes:
    """Return a comment for an idle event stream: proxies close silent connections."""
    return b": heartbeat\n\n"


class Format(StrEnum):
    """The formats of results."""

    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"


#: The media type of each format, in order of preference.
MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.NDJSON: "application/x-ndjson",
    Format.CSV: "text/csv",
    Format.PARQUET: "application/vnd.apache.parquet",
}


def accepted_format(accept: str) -> Format:
    """Return the format that an Accept header prefers (RFC 9110, section 12.5.1); JSON if it is empty.

    Raises ``RequestError(not_acceptable)`` if none of them is accepted.
    """
    media_type = preferred_media_type(accept, list(MEDIA_TYPES.values()))
    return next(format for format, known in MEDIA_TYPES.items() if known == media_type)


def preferred_media_type(accept: str, offered: Sequence[str]) -> str:
    """Return the offered media type that an Accept header prefers (RFC 9110, section 12.5.1).

    That is the first one if it is empty. Raises ``RequestError(not_acceptable)`` if it accepts none of them.
    """
    ranges = qualities(accept) or {"*/*": 1.0}
    best = max(offered, key=lambda media_type: _quality(media_type, ranges))
    if not _quality(best, ranges):
        raise RequestError(Code.NOT_ACCEPTABLE, f"available: {', '.join(offered)}")
    return best


def _quality(media_type: str, ranges: dict[str, float]) -> float:
    """Return the quality of a media type: that of the most specific range."""
    names = (media_type, media_type.partition("/")[0] + "/*", "*/*")
    return next((ranges[name] for name in names if name in ranges), 0.0)


def qualities(accept: str) -> dict[str, float]:
    """Return the names in an ``Accept`` or ``Accept-Encoding`` header, each with its quality from 0 to 1."""
    return dict(_ranges(accept))


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    for part in accept.split(","):
        name, *parameters = (word.strip().lower() for word in part.split(";"))
        if name:
            yield name, next((_weight(word[2:]) for word in parameters if word.startswith("q=")), 1.0)


def _weight(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0
