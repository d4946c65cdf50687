"""Timeouts of connections to the service while no request is in progress.

Uvicorn waits without a limit for the head of a request, for the rest of a body that was answered early, and
for a client that does not read; and it accepts heads of any size.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class ConnectionTimeouts:
    """Limits of a connection, in seconds; ``head_bytes`` is the largest head of a request."""

    #: From connecting, or from its first byte, until the head of a request is complete.
    head: float = 10.0
    #: Between two requests.
    idle: float = 65.0
    #: Until the rest of a body has arrived that was answered early.
    rest: float = 10.0
    #: Until the client has read what was sent.
    reading: float = 60.0
    head_bytes: int = 65_536


class TimeoutHttpProtocol(HttpToolsProtocol):
    """Closes the connection after a timeout."""

    timeouts = ConnectionTimeouts()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._timer: asyncio.TimerHandle | None = None
        self._reading: asyncio.TimerHandle | None = None
        self._in_head = False
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timeout of the first head."""
        super().connection_made(transport)
        self._within(self.timeouts.head)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timeouts."""
        self._stop_timer()
        self._stop_reading()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse data, and refuse a head that is too large."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self.timeouts.head_bytes and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE)
                self.transport.close()

    def on_message_begin(self) -> None:
        """Start the timeout of the head."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self._within(self.timeouts.head)

    def on_headers_complete(self) -> None:
        """Stop the timeout: the service limits the body."""
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Start the timeout of the next request if this one was answered early."""
        super().on_message_complete()
        if self.cycle.response_complete:
            self._within(self.timeouts.idle)

    def on_response_complete(self) -> None:
        """Start the timeout of the rest of a body that was answered early."""
        unread = self.cycle.more_body
        super().on_response_complete()
        if unread:
            self._within(self.timeouts.rest)

    def pause_writing(self) -> None:
        """Start the timeout of a client that does not read."""
        super().pause_writing()
        self._stop_reading()
        self._reading = self.loop.call_later(self.timeouts.reading, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the timeout of a client that reads again."""
        self._stop_reading()
        super().resume_writing()

    def _within(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        # During a request, the head of the next one may wait.
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
