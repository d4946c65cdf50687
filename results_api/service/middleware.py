"""ASGI middleware, in the order in which requests pass through it; ``app.py`` adds it in this order.

Request ids, the access log, security headers, draining, unhandled errors, body limits.
"""

import asyncio
import logging
import re
import time
import uuid
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from results_api.service.error_responses import error_response
from results_api.service.headers import announced_size
from results_api.service.monitoring import ServiceObserver
from shared.errors import Code, RequestError, SmartSightError, printable

_log = logging.getLogger("smartsight.api")
_access_log = logging.getLogger("smartsight.access")

#: Paths that are probed again and again: logged at DEBUG, and answered while the server drains.
OPERATIONS = ("/livez", "/readyz", "/metrics")
_REQUEST_ID = "X-Request-ID"
_REQUEST_ID_FORM = re.compile(r"[A-Za-z0-9._-]{1,64}")
#: The client disconnected before the response began: nginx's status, which HTTP does not have.
_CLIENT_DISCONNECTED = 499
#: Stands for all paths without a route: there is no end to them.
_NO_ROUTE = "none"
#: https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html#security-headers
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
#: Value of ``Retry-After`` while the server drains, in seconds: another one may answer, or this one again.
_RETRY_AFTER = 5.0


class RequestIdMiddleware:
    """Gives every request an id: the one in its ``X-Request-ID`` header if well formed, or a new one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set the id in the request's state and in the response's headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(_REQUEST_ID, "")
        request_id = given if _REQUEST_ID_FORM.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[_REQUEST_ID] = request_id
            await send(message)

        await self._app(scope, receive, send_with_id)


def request_id_of(scope: Scope) -> str:
    """Return the id of a request, or an empty string if it has none."""
    request_id: str = scope.get("state", {}).get("request_id", "")
    return request_id


class AccessLogMiddleware:
    """Logs every request and reports it to the observer; neither query strings nor headers are logged."""

    def __init__(self, app: ASGIApp, observer: ServiceObserver) -> None:
        self._app = app
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Measure the request, then log it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent, began = _ResponseStats(), time.perf_counter()

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent.status = message["status"]
            else:
                sent.size += len(message.get("body", b""))
            await send(message)

        self._observer.began()
        try:
            await self._app(scope, receive, send_and_count)
        finally:
            if _client_disconnected(scope):
                sent.status = _CLIENT_DISCONNECTED
            seconds = time.perf_counter() - began
            self._observer.ended(scope["method"], _route_of(scope), sent.status, seconds)
            _log_access(scope, sent, seconds)


@dataclass
class _ResponseStats:
    """What was sent of a response."""

    status: int = _CLIENT_DISCONNECTED
    size: int = 0


def _log_access(scope: Scope, sent: _ResponseStats, seconds: float) -> None:
    level = logging.DEBUG if scope["path"] in OPERATIONS else logging.INFO
    if not _access_log.isEnabledFor(level):
        return
    client = scope.get("client")
    fields = {
        "method": scope["method"],
        "path": printable(scope["path"]),
        "route": _route_of(scope),
        "status": sent.status,
        "milliseconds": round(1000 * seconds, 1),
        "bytes": sent.size,
        "request_id": request_id_of(scope),
        "key_id": scope.get("state", {}).get("key_id"),
        "client": client[0] if client else None,
    }
    _access_log.log(level, "request", extra=fields)


def _route_of(scope: Scope) -> str:
    """Return the path template of the route that answered."""
    route: str = getattr(scope.get("route"), "path", _NO_ROUTE)
    return route


class SecurityHeadersMiddleware:
    """Adds security headers to every response, unless the route has set them."""

    def __init__(self, app: ASGIApp, *, cors: bool) -> None:
        self._app = app
        # With CORS, which origins may read a response is for CORS to say.
        self._headers = (
            _SECURITY_HEADERS if cors else _SECURITY_HEADERS | {"Cross-Origin-Resource-Policy": "same-origin"}
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers that the response lacks."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class Draining:
    """Whether the server is shutting down, and what is in progress; for the event loop's thread alone."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._in_progress: set[asyncio.Timeout] = set()

    @property
    def has_begun(self) -> bool:
        """Whether new requests are refused."""
        return self._begun.is_set()

    def begin(self, grace: float) -> None:
        """Refuse new requests, and give those in progress so many seconds to finish."""
        self._begun.set()
        deadline = asyncio.get_running_loop().time() + grace
        for limit in self._in_progress:
            limit.reschedule(deadline)

    async def begun(self) -> None:
        """Wait until the server shuts down: streams without an end of their own end then."""
        await self._begun.wait()

    async def finished(self) -> None:
        """Wait until no request is in progress."""
        await self._idle.wait()

    def add(self, limit: asyncio.Timeout) -> None:
        """Note the time limit of a request in progress."""
        self._in_progress.add(limit)
        self._idle.clear()

    def remove(self, limit: asyncio.Timeout) -> None:
        """Note that a request has ended."""
        self._in_progress.discard(limit)
        if not self._in_progress:
            self._idle.set()


class DrainingMiddleware:
    """Refuses new requests with 503 while the server shuts down, and limits the time of the others."""

    def __init__(self, app: ASGIApp, draining: Draining) -> None:
        self._app = app
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or scope["path"] in OPERATIONS:
            await self._app(scope, receive, send)
        elif self._draining.has_begun:
            await _refuse(scope, receive, send)
        else:
            await self._run(scope, receive, send)

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        outgoing = _TrackedSend(send)
        limit = asyncio.timeout(None)
        try:
            async with limit:
                self._draining.add(limit)
                await self._app(scope, receive, outgoing)
        except TimeoutError:
            if not limit.expired():
                raise
            if not outgoing.started:
                await _refuse(scope, receive, send)
        finally:
            self._draining.remove(limit)


class _TrackedSend:
    """Sends messages on, and remembers whether the response has started."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        self.started = True
        await self._send(message)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    response = error_response(RequestError(Code.SHUTTING_DOWN, retry_after=_RETRY_AFTER), scope)
    response.headers["Connection"] = "close"
    await response(scope, receive, send)


class UnhandledErrorMiddleware:
    """Turns an unhandled exception into a 500 that names the request, and logs it.

    Once the response has started, it closes the connection instead: the client sees a broken response.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and handle what it raises."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        outgoing = _TrackedSend(send)
        try:
            await self._app(scope, receive, outgoing)
        except ClientDisconnect:
            pass  # nobody waits for a response
        except Exception as error:
            request_id = request_id_of(scope)
            if outgoing.started and isinstance(error.__cause__, SmartSightError):
                _log_interrupted(error.__cause__, request_id)
                return
            _log.exception("unhandled error", extra={"request_id": request_id})
            if not outgoing.started:
                failure = RequestError(Code.INTERNAL_ERROR, f"request {request_id}")
                await error_response(failure, scope)(scope, receive, send)


def _log_interrupted(cause: SmartSightError, request_id: str) -> None:
    """Log an expected failure that came too late for the client to be told."""
    fields = {"request_id": request_id, "code": str(cause.code), "reason": str(cause)}
    _log.warning("response interrupted", extra=fields)


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """The most bytes of a body, and the most seconds for a pause in it and for the whole of it.

    A large body has longer: one more second for each ``rate`` bytes that have arrived.
    """

    size: int
    pause: float = 10.0
    whole: float = 60.0
    rate: int = 100_000


class BodyLimitMiddleware:
    """Ends a request whose body is too large or too slow with 413 or 408, whatever the route makes of it."""

    def __init__(self, app: ASGIApp, limits: BodyLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with a body that raises where it exceeds a limit."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _LimitedBody(scope, receive, send, self._limits)
        try:
            await self._app(scope, body.receive, body.send)
        except Exception:
            # What a route makes of a body that broke off is no error of its own.
            if body.failure is None or body.started:
                raise
        if body.failure and not body.started:
            response = error_response(body.failure, scope)
            if body.failure.code is Code.REQUEST_TIMEOUT or body.is_held:
                response.headers["Connection"] = "close"
            await response(scope, receive, send)


class _LimitedBody:
    """The body of a request as it arrives, and the response, which is held back once the body has failed."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: BodyLimits) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._limits = limits
        headers = Headers(scope=scope)
        self._announced = announced_size(headers)
        # Whether the client waits to be asked for the body.
        self.is_held = headers.get("Expect", "").lower() == "100-continue"
        self._arrived = 0
        self._waited = 0.0
        self._complete = False
        #: Why the body was refused.
        self.failure: RequestError | None = None
        #: Whether the route's own response has started.
        self.started = False

    async def receive(self) -> Message:
        """Return the next message; raise ``RequestError`` where the body exceeds a limit."""
        if self._complete:
            return await self._receive()
        if self.failure:
            raise self.failure
        if self._announced > self._limits.size:
            raise self._too_large()
        self.is_held = False
        message = await self._wait()
        if message["type"] == "http.disconnect":
            self._scope.setdefault("state", {})["disconnected"] = True
            return message
        self._arrived += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._arrived > self._limits.size:
            raise self._too_large()
        return message

    async def send(self, message: Message) -> None:
        """Send the route's response on, unless the body has failed."""
        if self.started or self.failure is None:
            if self.is_held and message["type"] == "http.response.start":
                # Whether a body or another request comes next is not known (RFC 9110, section 10.1.1).
                MutableHeaders(scope=message)["Connection"] = "close"
            self.started = True
            await self._send(message)

    async def _wait(self) -> Message:
        """Wait for the next message; only the time spent here is the client's."""
        limits, began = self._limits, time.monotonic()
        left = limits.whole + self._arrived / limits.rate - self._waited
        try:
            async with asyncio.timeout(min(limits.pause, left)):
                message = await self._receive()
        except TimeoutError:
            raise self._failed(Code.REQUEST_TIMEOUT, f"{self._arrived} bytes arrived") from None
        self._waited += time.monotonic() - began
        return message

    def _too_large(self) -> RequestError:
        return self._failed(Code.BODY_TOO_LARGE, f"more than {self._limits.size} bytes")

    def _failed(self, code: Code, detail: str) -> RequestError:
        self.failure = RequestError(code, detail)
        return self.failure


def _client_disconnected(scope: Scope) -> bool:
    """Tell whether the client disconnected before its request was complete."""
    return "disconnected" in scope.get("state", {})
