"""The connections of the HTTP client: one response for each request, and nothing after it.

Import this module where a session is opened only: it loads aiohttp.
"""

import asyncio
from typing import Any

from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

from shared.errors import ItemError
from shared.fetching.responses import HeadReader, invalid

#: How a chunked body ends, and how many bytes are enough to see it.
_CHUNKED_ENDS, _CHUNKED_END_SIZE = (b"\n\r\n", b"\n\n"), 3


class LenientResponseHandler(ResponseHandler):
    """Reads one response for each request; closes the connection when more comes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        #: What reads the head; None when that is complete.
        self._head: HeadReader | None = None
        #: Bytes of the body that are to come; None if it says itself where it ends.
        self._left: int | None = 0
        self._is_chunked = False
        self._last = b""

    def set_response_params(self, **params: Any) -> None:
        """Expect the response to a new request."""
        self._head, self._last = HeadReader(), b""
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Read what came; no bytes mean that there is room again for those that were held back."""
        if self._parser is None:  # no request was sent yet: it is kept until there is one
            super().data_received(data)
            return
        try:
            if self._head is None or not data:
                self._read_body(data)
            elif (found := self._head.feed(data)) is not None:
                rest, self._head = self._head.rest, None
                self._left, self._is_chunked = found.length, found.is_chunked
                super().data_received(found.plain)
                if rest:
                    self._read_body(rest)
        except ItemError as error:
            self._fail(error)

    def _read_body(self, data: bytes) -> None:
        payload, messages = self._payload, len(self._buffer)
        body = data[: self._left]
        super().data_received(body)
        failure = self.exception()
        if isinstance(failure, HttpProcessingError):
            raise invalid(failure.message.strip().partition("\n")[0].rstrip(":"))
        has_more = len(body) < len(data) or len(self._buffer) > messages
        if self._left is not None:
            self._left -= len(body)
        elif self._is_chunked:
            self._last = (self._last + body)[-_CHUNKED_END_SIZE:]
            if payload is not None and payload.is_eof():
                self._left = 0
                has_more = has_more or not self._last.endswith(_CHUNKED_ENDS)
        if has_more:
            while len(self._buffer) > messages:
                self._buffer.pop()  # nobody asked for it
            self._end()

    def _fail(self, error: ItemError) -> None:
        payload, self._payload = self._payload, None
        if payload is not None and not payload.is_eof():
            payload.set_exception(error)
        self.set_exception(error)
        self._end()

    def _end(self) -> None:
        self.force_close()
        if self.transport is not None:
            self.transport.close()
