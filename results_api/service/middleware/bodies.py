"""Bound what a request brings along: its bytes, which are counted, and the time they take to arrive."""

import asyncio
import re
import time
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from results_api.service.failures import answer
from shared.errors import Code, RequestError

_LENGTH = re.compile("[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What a body may be: a number of bytes, and seconds for a pause in it and for the whole of it.

    A large one has longer: a second more for each ``rate`` bytes that have arrived.
    """

    size: int
    pause: float = 10.0
    whole: float = 60.0
    rate: int = 100_000


class Bodies:
    """Ends a request whose body is too large or too slow with 413 or 408, whatever the route makes of it."""

    def __init__(self, app: ASGIApp, limits: BodyLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, of whose body no more is taken than is allowed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(scope, receive, send, self._limits)
        try:
            await self._app(scope, body.receive, body.send)
        except Exception:
            # What a route makes of a body that broke off is no failure of its own.
            if body.failure is None or body.answered:
                raise
        if body.failure and not body.answered:
            response = answer(body.failure)
            if body.failure.code is Code.REQUEST_TIMEOUT:
                response.headers["Connection"] = "close"
            await response(scope, receive, send)


class _Body:
    """The body of one request as it arrives, and the answer, which is held back once the body has failed."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: BodyLimits) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._limits = limits
        announced = Headers(scope=scope).get("Content-Length", "")
        self._announced = int(announced) if _LENGTH.fullmatch(announced) else 0
        self._arrived = 0
        self._waited = 0.0
        self._complete = False
        #: Why the body was not taken.
        self.failure: RequestError | None = None
        #: Whether the route's own answer has begun to go out.
        self.answered = False

    async def receive(self) -> Message:
        """Return what arrives next; raise ``RequestError`` on what exceeds a limit."""
        if self._complete:
            return await self._receive()
        if self.failure:
            raise self.failure
        if self._announced > self._limits.size:
            raise self._too_large()
        message = await self._wait()
        if message["type"] == "http.disconnect":
            self._scope.setdefault("state", {})["gone"] = True
            return message
        self._arrived += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._arrived > self._limits.size:
            raise self._too_large()
        return message

    async def send(self, message: Message) -> None:
        """Pass the route's answer on, unless the body has failed."""
        if self.answered or self.failure is None:
            self.answered = True
            await self._send(message)

    async def _wait(self) -> Message:
        """Wait for what arrives next; only the time spent here is the sender's."""
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


def is_gone(scope: Scope) -> bool:
    """Tell whether whoever asked broke off before the request was complete."""
    return "gone" in scope.get("state", {})
