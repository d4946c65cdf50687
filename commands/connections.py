"""Timeouts and limits of an HTTP connection that uvicorn does not have.

Uvicorn waits without a limit for the head of a request, for the rest of a body that was answered early and
for a client that does not read; it accepts heads of any size; and it sends chunks to HTTP/1.0 clients.
"""

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class ConnectionTimeouts:
    """Limits of a connection, in seconds and bytes."""

    #: From the connection or its first byte to the end of a request's head.
    head: float = 10.0
    #: Between two requests.
    idle: float = 65.0
    #: For the rest of a body whose response was already sent.
    rest: float = 10.0
    #: For the client to read what was sent.
    reading: float = 60.0
    #: Largest head of a request.
    head_bytes: int = 65_536


class TimeoutHttpProtocol(HttpToolsProtocol):
    """Closes the connection when a timeout or a limit is exceeded."""

    timeouts = ConnectionTimeouts()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._timer: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._in_head = False
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect the head of the first request."""
        super().connection_made(transport)
        self._within(self.timeouts.head)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timers."""
        self._stop_timer()
        self._stop_reading()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Refuse a head that is too large (431)."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self.timeouts.head_bytes and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE)
                self.transport.close()

    def on_message_begin(self) -> None:
        """Expect the rest of the head."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self._within(self.timeouts.head)

    def on_headers_complete(self) -> None:
        """Leave the body to the service, which has its own limits."""
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect another request if this one already has its response."""
        super().on_message_complete()
        if self.cycle.response_complete:
            self._within(self.timeouts.idle)

    def on_response_complete(self) -> None:
        """Expect the rest of a body that was not read."""
        unread = self.cycle.more_body
        super().on_response_complete()
        if unread:
            self._within(self.timeouts.rest)

    def pause_writing(self) -> None:
        """Give the client limited time to read."""
        super().pause_writing()
        self._stop_reading()
        self._reading = self.loop.call_later(self.timeouts.reading, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the client's timer."""
        self._stop_reading()
        super().resume_writing()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Start to answer a request."""
        unchunked = cycle.scope["http_version"] == "1.0"
        super()._start_asgi_task(cycle, _Unchunked(cycle, app) if unchunked else app)

    def _within(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, self._close_if_idle)

    def _close_if_idle(self) -> None:
        # The head of a pipelined request may wait behind a request in progress.
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None


class _Unchunked:
    """Answers an HTTP/1.0 client, who knows no chunks: a body without a length ends with the connection.

    RFC 9112, sections 6.1 and 6.3.
    """

    def __init__(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._cycle = cycle
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        cycle, unsized = self._cycle, False

        async def send_unchunked(message: Any) -> None:
            nonlocal unsized
            if message["type"] == "http.response.start":
                unsized = all(name.lower() != b"content-length" for name, _ in message.get("headers", ()))
                if unsized:
                    cycle.chunked_encoding = False
            elif unsized:  # uvicorn compares them
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, send_unchunked)
        finally:
            if unsized and not cycle.response_complete:
                _reset(cycle.transport)  # a proper end would make a whole of what is none


def _reset(transport: asyncio.Transport) -> None:
    """Close a connection with RST instead of FIN, which the other side notices (socket(7), SO_LINGER)."""
    at_once = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    transport.abort()
