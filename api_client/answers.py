"""Read answers: the envelope of a success, the body of a failure, lines that arrive bit by bit."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from api_client.connection import Answer
from api_client.failures import RefusedError, UnansweredError, not_ours
from shared.errors import Code, RequestError
from shared.fetching.headers import retry_after

T = TypeVar("T")

#: Longest answer that is taken at once, and longest line of a stream, in bytes.
_MAX_BODY = 64 << 20
_MAX_LINE = 1 << 20
_NOT_MODIFIED = 304
#: What proxies say where the API behind them does not answer.
_NOBODY_BEHIND = (502, 503, 504)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that has arrived as a whole: what stands beside the data, and the data."""

    status: int
    headers: Mapping[str, str]
    meta: Mapping[str, Any]
    data: Any

    @property
    def is_unchanged(self) -> bool:
        """Whether there is nothing new since what was asked for last."""
        return self.status == _NOT_MODIFIED

    @property
    def retry_after(self) -> float | None:
        """In how many seconds to ask again."""
        return _retry_after(self.headers)


def checked(answer: Answer) -> Answer:
    """Return the answer if it is a success, else raise ``RequestError``."""
    if 200 <= answer.status < 300 or answer.status == _NOT_MODIFIED:
        return answer
    raise _failure(answer.status, answer.headers, _read(answer))


def reply_of(answer: Answer) -> Reply:
    """Read an answer to its end; raise ``RequestError`` if it is no success, or not our API's."""
    body = _read(checked(answer))
    if not body and answer.status in (204, _NOT_MODIFIED):
        return Reply(answer.status, answer.headers, {}, None)
    content = _object(body)
    meta = content.get("meta")
    if not isinstance(meta, dict) or "data" not in content:
        kind = answer.headers.get("Content-Type", "no type")
        raise not_ours(f"HTTP {answer.status} with {kind}, without our envelope", answer.status)
    return Reply(answer.status, answer.headers, meta, content["data"])


def rows_of(answer: Answer) -> Iterator[dict[str, Any]]:
    """Yield the objects of an answer that has one a line, as they arrive."""
    for line in lines_of(checked(answer).chunks):
        row = _object(line)
        if not isinstance(row.get("cursor"), str):
            raise not_ours("a row without a cursor")
        yield row


def lines_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines that hold anything; one that never ends is refused."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())
        if len(rest) > _MAX_LINE:
            raise not_ours(f"a line of more than {_MAX_LINE} bytes")
    if rest.strip():
        yield rest


def understood(read: Callable[[Any], T], data: Any) -> T:
    """Return what the data of an answer say; raise ``RequestError(api_refused)`` where that is not clear."""
    try:
        return read(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise not_ours(f"its data are not as documented: {type(error).__name__}, {error}") from error


def _read(answer: Answer) -> bytes:
    parts, size = [], 0
    for chunk in answer.chunks:
        parts.append(chunk)
        size += len(chunk)
        if size > _MAX_BODY:
            raise not_ours(f"more than {_MAX_BODY} bytes", answer.status)
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
        if status in _NOBODY_BEHIND:
            return UnansweredError(detail, True, _retry_after(headers))
        return RefusedError(Code.API_REFUSED, detail, status, _retry_after(headers))
    code, detail = _reason(str(error.get("type", "")), str(error.get("message", "")), status)
    return RefusedError(code, detail, status, _retry_after(headers))


def _reason(name: str, message: str, status: int) -> tuple[Code, str]:
    try:
        code = Code(name)
    except ValueError:  # a newer API has more of them
        return Code.API_REFUSED, f"HTTP {status}, {name}: {message}"
    return code, _detail(code, message)


def _detail(code: Code, message: str) -> str:
    """Return what a message says beyond the sentence of its code, as ``message_for`` put them together."""
    rest = message.removeprefix(code.sentence).strip()
    return rest[1:-1] if rest.startswith("(") and rest.endswith(")") else rest


def _retry_after(headers: Mapping[str, str]) -> float | None:
    return retry_after(headers.get("Retry-After", ""), time.time())
