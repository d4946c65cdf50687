"""The connections of the HTTP client: one response for each request, and nothing after it.

Import this module where a session is opened only: it loads aiohttp.
"""

import asyncio
from typing import Any

from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

from shared.errors import ItemError
from shared.fetching.responses import ChunkReader, HeadReader, invalid

_LAST_CHUNK = b"0\r\n\r\n"


class LenientResponseHandler(ResponseHandler):
    """Reads one response for each request; closes the connection when more comes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        #: What reads the head; None when that is complete.
        self._head: HeadReader | None = None
        #: Bytes of the body that are to come; None if it says itself where it ends: by chunks, or by closing.
        self._left: int | None = 0
        self._chunks: ChunkReader | None = None

    def set_response_params(self, **params: Any) -> None:
        """Expect the response to a new request."""
        self._head, self._chunks = HeadReader(), None
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
                self._left, self._chunks = found.length, ChunkReader() if found.is_chunked else None
                self._pass_on(found.plain)
                if rest:
                    self._read_body(rest)
        except ItemError as error:
            self._fail(error)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Take a body whose last chunk has come for complete."""
        if self._chunks is not None and self._chunks.is_whole and not self._chunks.is_over:
            super().data_received(_LAST_CHUNK)
        super().connection_lost(exc)

    def _read_body(self, data: bytes) -> None:
        if self._chunks is not None:
            surplus = self._read_chunks(self._chunks, data)
        else:
            body = data[: self._left]
            surplus = data[len(body) :]
            if self._left is not None:
                self._left -= len(body)
            self._pass_on(body)
        if surplus:  # nobody asked for it: it must not become the answer to the next request
            self._end()

    def _read_chunks(self, chunks: ChunkReader, data: bytes) -> bytes:
        """Pass on what came of a chunked body, in plain chunks; return what came beyond it."""
        if chunks.is_over:
            self._pass_on(b"")
            return data
        body = chunks.feed(data)
        if chunks.is_odd:
            self.force_close()
        plain = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
        self._pass_on(plain + _LAST_CHUNK if chunks.is_over else plain)
        return chunks.rest if chunks.is_over else b""

    def _pass_on(self, data: bytes) -> None:
        """Give aiohttp what it reads; raise ``ItemError`` if it cannot."""
        super().data_received(data)
        failure = self.exception()
        if isinstance(failure, HttpProcessingError):
            raise invalid(failure.message.strip().partition("\n")[0].rstrip(":"))

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
