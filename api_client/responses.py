"""Parse responses: the envelope of a success, the body of an error, a stream of JSON lines."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from api_client.connection import ApiResponse, RefusedError, UnansweredError, not_ours
from shared.errors import Code, RequestError
from shared.fetching.headers import retry_after

T = TypeVar("T")

#: Largest body that is read at once, and longest line of a stream, in bytes.
_MAX_BODY = 64 << 20
_MAX_LINE = 1 << 20
_NOT_MODIFIED = 304
#: Statuses of proxies whose API does not respond.
_GATEWAY_ERRORS = (502, 503, 504)


@dataclass(frozen=True, slots=True)
class ParsedResponse:
    """A response read as a whole: its metadata and its data."""

    status: int
    headers: Mapping[str, str]
    meta: Mapping[str, Any]
    data: Any

    @property
    def is_not_modified(self) -> bool:
        """Whether nothing has changed since the entity tag that was sent."""
        return self.status == _NOT_MODIFIED

    @property
    def retry_after(self) -> float | None:
        """After how many seconds to ask again."""
        return _retry_after(self.headers)


def raise_for_status(response: ApiResponse) -> ApiResponse:
    """Return the response if it is a success, else raise ``RequestError``."""
    if 200 <= response.status < 300 or response.status == _NOT_MODIFIED:
        return response
    raise _failure(response.status, response.headers, read_body(response))


def parse_response(response: ApiResponse) -> ParsedResponse:
    """Read a response to its end; raise ``RequestError`` if it is no success, or not our API's."""
    body = read_body(raise_for_status(response))
    if not body and response.status in (204, _NOT_MODIFIED):
        return ParsedResponse(response.status, response.headers, {}, None)
    content = _object(body)
    meta = content.get("meta")
    if not isinstance(meta, dict) or "data" not in content:
        kind = response.headers.get("Content-Type", "no type")
        raise not_ours(f"HTTP {response.status} with {kind}, without our envelope", response.status)
    return ParsedResponse(response.status, response.headers, meta, content["data"])


def parse_rows(response: ApiResponse) -> Iterator[dict[str, Any]]:
    """Yield the objects of a stream of JSON lines as they arrive."""
    for line in split_lines(raise_for_status(response).chunks):
        row = _object(line)
        if not isinstance(row.get("cursor"), str):
            raise not_ours("a row without a cursor")
        yield row


def split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines that are not blank; raise ``RequestError`` for an endless one."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())
        if len(rest) > _MAX_LINE:
            raise not_ours(f"a line of more than {_MAX_LINE} bytes")
    if rest.strip():
        yield rest


def parse(read: Callable[[Any], T], data: Any) -> T:
    """Return parsed data; raise ``RequestError(api_refused)`` if they are not as documented."""
    try:
        return read(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise not_ours(f"its data are not as documented: {type(error).__name__}, {error}") from error


def read_body(response: ApiResponse) -> bytes:
    """Return the body of a response; raise ``RequestError(api_refused)`` if it is too large."""
    parts, size = [], 0
    for chunk in response.chunks:
        parts.append(chunk)
        size += len(chunk)
        if size > _MAX_BODY:
            raise not_ours(f"more than {_MAX_BODY} bytes", response.status)
    return b"".join(parts)


def _object(body: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is, or an empty one."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _failure(status: int, headers: Mapping[str, str], body: bytes) -> RequestError:
    error = _object(body).get("error")
    if not isinstance(error, dict):
        detail = f"HTTP {status} with {headers.get('Content-Type', 'no type')}"
        if status in _GATEWAY_ERRORS:
            return UnansweredError(detail, True, _retry_after(headers))
        return RefusedError(Code.API_REFUSED, detail, status, _retry_after(headers))
    code, detail = _reason(str(error.get("type", "")), str(error.get("message", "")), status)
    return RefusedError(code, detail, status, _retry_after(headers))


def _reason(name: str, message: str, status: int) -> tuple[Code, str]:
    try:
        code = Code(name)
    except ValueError:  # a newer API has more codes
        return Code.API_REFUSED, f"HTTP {status}, {name}: {message}"
    return code, _detail(code, message)


def _detail(code: Code, message: str) -> str:
    """Return the detail of a message: what ``message_for`` added to the sentence of its code."""
    rest = message.removeprefix(code.sentence).strip()
    return rest[1:-1] if rest.startswith("(") and rest.endswith(")") else rest


def _retry_after(headers: Mapping[str, str]) -> float | None:
    return retry_after(headers.get("Retry-After", ""), time.time())
