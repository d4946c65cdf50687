"""Compress what is large and read by programs: JSON, JSON Lines and CSV, for clients that accept gzip.

Compressed is only what a GET is answered with, and not if the browser's cookie is the key: then another site
could make the requests, and tell from the lengths of responses what they contain (BREACH,
https://www.breachattack.com). Parquet files and pictures are compressed already, and events must not wait.
"""

import asyncio
import zlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from results_api.service.responses import qualities

_MEDIA_TYPES = ("application/json", "application/x-ndjson", "text/csv")
#: Fewer bytes than a packet has are not worth it.
_SMALLEST = 1_400
#: The fastest level: it takes half the time of zlib's default, and results shrink 4.4 times instead of 5.0.
_LEVEL = 1
#: With zlib's largest window and a gzip header (https://zlib.net/manual.html, deflateInit2).
_GZIP = 16 + zlib.MAX_WBITS
#: Bytes that are compressed at once in the event loop; more are in a thread.
_AT_ONCE = 16_384
#: Threads that compress at the same time: the rest of the cores is for others.
_THREADS = 2


class CompressionMiddleware:
    """Compresses responses with gzip, chunk by chunk, so that memory stays flat."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._threads = asyncio.Semaphore(_THREADS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and compress its response if it may be."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        compressed = _CompressedSend(send, _accepts_gzip(scope), self._threads)
        await self._app(scope, receive, compressed)
        await compressed.begin()


def _accepts_gzip(scope: Scope) -> bool:
    """Tell whether the client accepts gzip, and sends its key itself, if it has one."""
    headers = Headers(scope=scope)
    if "Cookie" in headers and "Authorization" not in headers:
        return False
    accepted = qualities(",".join(headers.getlist("Accept-Encoding")))
    return accepted.get("gzip", accepted.get("*", 0.0)) > 0


class _CompressedSend:
    """Holds a response's start back until its first bytes tell whether compressing is worth it."""

    def __init__(self, send: Send, wanted: bool, threads: asyncio.Semaphore) -> None:
        self._send = send
        self._wanted = wanted
        self._threads = threads
        self._start: Message | None = None
        self._gzip: zlib._Compress | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._hold(message)
        elif message["type"] == "http.response.body":
            await self._go_on(message.get("body", b""), message.get("more_body", False))
        else:
            await self._send(message)

    async def begin(self) -> None:
        """Send the start, if it is still held back."""
        if self._start is not None:
            start, self._start = self._start, None
            await self._send(start)

    async def _hold(self, start: Message) -> None:
        headers = MutableHeaders(scope=start)
        media_type = headers.get("Content-Type", "").partition(";")[0].lower()
        compressible = media_type in _MEDIA_TYPES and "Content-Encoding" not in headers
        if compressible:
            headers.add_vary_header("Accept-Encoding")
        if compressible and self._wanted:
            self._start = start
        else:
            await self._send(start)

    async def _go_on(self, body: bytes, more: bool) -> None:
        if self._start is not None and (more or len(body) >= _SMALLEST):
            self._gzip = zlib.compressobj(_LEVEL, wbits=_GZIP)
        if self._gzip is not None:
            body = await self._compress(body, more)
        if self._gzip is not None and self._start is not None:
            _declare(self._start, None if more else len(body))
        await self.begin()
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _compress(self, body: bytes, more: bool) -> bytes:
        if len(body) <= _AT_ONCE:
            return self._deflate(body, more)
        async with self._threads:
            return await asyncio.to_thread(self._deflate, body, more)

    def _deflate(self, body: bytes, more: bool) -> bytes:
        assert self._gzip is not None
        # Each chunk is complete, so that what is followed line by line arrives line by line.
        return self._gzip.compress(body) + self._gzip.flush(zlib.Z_SYNC_FLUSH if more else zlib.Z_FINISH)


def _declare(start: Message, size: int | None) -> None:
    """Say in a response's headers that it is compressed, to so many bytes if it is known."""
    headers = MutableHeaders(scope=start)
    headers["Content-Encoding"] = "gzip"
    del headers["Content-Length"]
    if size is not None:
        headers["Content-Length"] = str(size)
    tag = headers.get("ETag", "")
    if tag.startswith('"'):  # the same content in other bytes (RFC 9110, section 8.8.3.3)
        headers["ETag"] = f"W/{tag}"
