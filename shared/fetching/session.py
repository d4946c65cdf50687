"""The HTTP client: sessions, time limits, and the translation of errors."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING

from shared.errors import Code, ItemError
from shared.fetching.guard import Guard, NotAllowedError
from shared.fetching.responses import MAX_HEAD

if TYPE_CHECKING:
    import aiohttp

#: Time limit of connecting, in seconds.
_CONNECT_TIMEOUT = 5.0
#: Called when this task's request has been sent: the host's pause counts from then.
when_sent: ContextVar[Callable[[], None] | None] = ContextVar("when_sent", default=None)


def open_session(guard: Guard, user_agent: str) -> "aiohttp.ClientSession":
    """Return a session that connects only through the guard; callers limit the time of a request.

    It ignores proxy settings, keeps no cookies, and neither requests nor decodes content encodings.
    """
    import aiohttp
    from aiohttp.client_proto import ResponseHandler

    from shared.fetching.http_protocol import LenientResponseHandler

    connector = guard.connector()
    # aiohttp has no public way to read responses as they are; tests with sockets notice if this one goes.
    handler: Callable[..., ResponseHandler] = LenientResponseHandler
    connector._factory = partial(handler, loop=asyncio.get_running_loop())
    return aiohttp.ClientSession(
        connector=connector,
        max_line_size=MAX_HEAD,
        max_field_size=MAX_HEAD,
        headers={"User-Agent": user_agent, "Accept": "image/*", "Accept-Encoding": "identity"},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        request_class=_request_class(),
    )


def _request_class() -> "type[aiohttp.ClientRequest]":
    """Return a request class that reports when it is sent; cheaper than aiohttp's signals."""
    import aiohttp

    class TellingRequest(aiohttp.ClientRequest):
        """Reports when its headers are sent."""

        async def send(self, conn: "aiohttp.connector.Connection") -> "aiohttp.ClientResponse":
            answer = await super().send(conn)
            if tell := when_sent.get():
                tell()
            return answer

    return TellingRequest


class RequestContext:
    """One request: limits its time, translates aiohttp's errors, and records its URL and status."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self._deadline = Deadline(seconds)
        self.moved = self._deadline.moved
        self.status: int | None = None

    def __enter__(self) -> "RequestContext":
        self._deadline.begin()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            self._deadline.end(error)
        except TimeoutError as too_late:
            raise self._failure(Code.FETCH_TIMEOUT) from too_late
        if isinstance(error, ItemError):
            error.final_url = error.final_url or self._url
            error.http_status = error.http_status or self.status
        elif error is not None and isinstance(error, _foreign()):
            raise self._failure(_code_of_error(error)) from error

    def _failure(self, code: Code) -> ItemError:
        return ItemError(code, "", self.status, final_url=self._url)


def _foreign() -> tuple[type[Exception], ...]:
    import aiohttp

    return aiohttp.ClientError, OSError, ValueError


def _code_of_error(error: BaseException) -> Code:
    import aiohttp

    if isinstance(getattr(error, "os_error", error), NotAllowedError):
        return Code.URL_NOT_ALLOWED
    # From narrow types to broad ones: the first match decides.
    codes: list[tuple[type[Exception], Code]] = [
        (aiohttp.InvalidURL, Code.URL_NOT_ALLOWED),
        (aiohttp.ClientConnectorDNSError, Code.DNS_FAILED),
        (aiohttp.ClientSSLError, Code.TLS_FAILED),
        (aiohttp.ConnectionTimeoutError, Code.CONNECT_TIMEOUT),
        (TimeoutError, Code.FETCH_TIMEOUT),
        (aiohttp.ClientConnectorError, Code.CONNECT_FAILED),
        (ValueError, Code.URL_NOT_ALLOWED),  # such as a host name that cannot be encoded
    ]
    return next((code for kind, code in codes if isinstance(error, kind)), Code.FETCH_FAILED)


#: How long a host may send nothing, in seconds; detected after at most twice as long. Until the first bytes
#: there is also time for connecting, which has its own limit.
_STALL, _FIRST_SIGN = 5.0, 10.0


class Deadline:
    """Raises ``TimeoutError`` in its task when the block takes too long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._moved = False
        self._has_passed = False

    def moved(self) -> None:
        """Note that bytes arrived."""
        self._moved = True

    def begin(self) -> None:
        """Start the time limit for the current task."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._end = self._loop.time() + self._seconds
        self._timer = self._loop.call_later(min(_FIRST_SIGN, self._seconds), self._look)

    def end(self, error: BaseException | None) -> None:
        """Stop the time limit; raise ``TimeoutError`` if the task was cancelled because of it."""
        self._timer.cancel()
        if self._has_passed and self._task is not None and isinstance(error, asyncio.CancelledError):
            if self._task.uncancel() > 0:
                return  # cancelled by somebody else
            raise TimeoutError from error

    def _look(self) -> None:
        left = self._end - self._loop.time()
        if self._moved and left > 0:
            self._moved = False
            self._timer = self._loop.call_later(min(_STALL, left), self._look)
        else:
            self._has_passed = True
            if self._task is not None:
                self._task.cancel()
