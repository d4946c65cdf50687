"""Fetch images over HTTP with aiohttp, with limits and the guard's checks.

Headers are not trusted: neither length nor type nor encoding. The first bytes of a body are checked before
the rest is read: they tell what it is, also where Content-Encoding says otherwise. No image is decompressed.
"""

import time
import zlib
from codecs import getincrementaldecoder
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from shared.errors import Code, ItemError, printable
from shared.fetching.fetcher import Fetched, FetchRequest, FetchResponse, NotModified, Redirected
from shared.fetching.guard import Guard
from shared.fetching.headers import code_of_status, compression, is_whole, opt_out, retry_after
from shared.fetching.session import RequestContext, open_session, when_sent
from shared.fetching.urls import redirect_target
from shared.image_signatures import SIGNATURE_SIZE, check_format
from shared.items import Validators

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

_REDIRECTS = (301, 302, 303, 307, 308)
_GZIP = b"\x1f\x8b"
#: Longest stored validator, in characters.
_MAX_VALIDATOR = 512


@dataclass(frozen=True, slots=True)
class WebLimits:
    """Limits of one request: bytes of the body, total seconds, and accepted formats."""

    max_bytes: int
    timeout: float
    formats: frozenset[str]


class WebFetcher:
    """Fetches http and https URLs; opens its session at the first request."""

    def __init__(self, guard: Guard, limits: WebLimits, user_agent: str) -> None:
        self._guard = guard
        self._limits = limits
        self._user_agent = user_agent
        #: Name of this robot in robots.txt and X-Robots-Tag.
        self.robot = user_agent.partition("/")[0].lower()
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        """Send one request and return the outcome; raise ``ItemError`` on failure."""
        url = self._guard.check(request.ref)
        conditions = _conditions(request.known, url)
        with RequestContext(request.ref, self._limits.timeout) as context:
            async with self._get(url, conditions, request.sent) as answer:
                context.status = answer.status
                if answer.status == 304 and conditions:
                    return NotModified(request.ref)
                return await self._taken(answer, url, context)

    async def fetch_text(
        self, url: str, max_bytes: int, sent: Callable[[], None]
    ) -> tuple[int, bytes] | Redirected:
        """Return status and body of a page, truncated to this many bytes; redirects are not checked yet."""
        checked = self._guard.check(url)
        with RequestContext(url, self._limits.timeout) as context:
            async with self._get(checked, {"Accept": "text/plain"}, sent) as answer:
                if answer.status in _REDIRECTS:
                    return Redirected(_target(checked, answer))
                if not _has_content(answer):
                    return answer.status, b""
                return 200, _unpacked(answer, await self._read(answer, context, max_bytes), max_bytes)

    def throttled_host(self, url: str) -> str | None:
        """Return the host that a URL calls, or None if it calls nobody, or a place of our own."""
        return self._guard.throttled_host(url)

    def own_host(self, url: str) -> str | None:
        """Return the host that a URL calls if it is our own."""
        return self._guard.own_host(url)

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()

    def _get(
        self, url: "URL", headers: dict[str, str], sent: Callable[[], None] | None
    ) -> "AbstractAsyncContextManager[aiohttp.ClientResponse]":
        if self._session is None:
            self._session = open_session(self._guard, self._user_agent)
        when_sent.set(sent)
        return self._session.get(url, allow_redirects=False, headers=headers or None)

    async def _taken(
        self, answer: "aiohttp.ClientResponse", url: "URL", context: RequestContext
    ) -> FetchResponse:
        """Return the outcome of a response."""
        if answer.status in _REDIRECTS:
            # Checked here: nothing that a host sends may be taken for a file name.
            there = self._guard.check(_target(url, answer))
            if self._guard.is_own(there) and not self._guard.is_own(url):
                raise ItemError(Code.URL_NOT_ALLOWED, "a redirect to an address that is not public")
            return Redirected(str(there))
        if not _has_content(answer):
            wait = retry_after(answer.headers.get("Retry-After", ""), time.time())
            detail = answer.headers.get("Content-Range", "") if answer.status == 206 else ""
            raise ItemError(code_of_status(answer.status), detail, answer.status, wait)
        self._check_headers(answer, url)
        check = partial(self._check_beginning, answer)
        content = await self._read(answer, context, self._limits.max_bytes, check)
        final = str(url)
        return Fetched(lambda: content, printable(final), answer.status, _validators(final, answer))

    def _check_headers(self, answer: "aiohttp.ClientResponse", url: "URL") -> None:
        headers = answer.headers
        if (answer.content_length or 0) > self._limits.max_bytes:
            raise self._too_many_bytes()
        if "X-Robots-Tag" in headers and not self._guard.is_own(url):
            directive = opt_out(headers.getall("X-Robots-Tag"), self.robot)
            if directive:
                raise ItemError(Code.OPTED_OUT, f"X-Robots-Tag: {directive}")

    def _check_beginning(self, answer: "aiohttp.ClientResponse", content: bytes) -> None:
        """Raise ``ItemError`` if a body does not begin like an accepted image, such as an error page."""
        if not content:
            return
        try:
            check_format(content, self._limits.formats)
        except ItemError as error:
            coding = compression(answer.headers.getall("Content-Encoding", ()))
            if coding and error.code is Code.NOT_AN_IMAGE:
                raise ItemError(Code.ENCODING_UNSUPPORTED, coding) from error
            raise

    async def _read(
        self,
        answer: "aiohttp.ClientResponse",
        context: RequestContext,
        limit: int,
        check: Callable[[bytes], None] | None = None,
    ) -> bytes:
        """Return a body; with a check, its first bytes must pass, and a body over the limit is a failure."""
        chunks: list[bytes] = []
        size = 0
        while chunk := await answer.content.readany():
            context.moved()
            chunks.append(chunk)
            begun = size < SIGNATURE_SIZE
            size += len(chunk)
            if check and begun and size >= SIGNATURE_SIZE:
                check(chunk if size == len(chunk) else b"".join(chunks))
            if size > limit:
                if check:
                    raise self._too_many_bytes()
                break
        content = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if check and size < SIGNATURE_SIZE:
            check(content)
        return content[:limit] if size > limit else content

    def _too_many_bytes(self) -> ItemError:
        return ItemError(Code.TOO_MANY_BYTES, f"the limit is {self._limits.max_bytes}")


def _has_content(answer: "aiohttp.ClientResponse") -> bool:
    return is_whole(answer.status, answer.headers.get("Content-Range"))


def _unpacked(answer: "aiohttp.ClientResponse", page: bytes, limit: int) -> bytes:
    """Return a page that a host may have compressed although asked not to, and at most so many bytes of it.

    A robots.txt that could not be read would forbid nothing. Raises ``ItemError(encoding_unsupported)``.
    """
    coding = compression(answer.headers.getall("Content-Encoding", ()))
    try:
        if page.startswith(_GZIP):
            return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(page, limit)
        if coding:
            getincrementaldecoder("utf-8")().decode(page)  # it may be plain all the same, and cut off
    except (zlib.error, UnicodeDecodeError) as error:
        raise ItemError(Code.ENCODING_UNSUPPORTED, coding or "gzip", answer.status) from error
    return page


def _conditions(known: Validators | None, url: "URL") -> dict[str, str]:
    """Return the headers of a conditional request, if the validators came from this URL."""
    if known is None or known.final_url != str(url):
        return {}
    headers = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    return {name: value for name, value in headers.items() if value}


def _validators(url: str, answer: "aiohttp.ClientResponse") -> Validators | None:
    etag, last_modified = (_kept(answer.headers.get(name)) for name in ("ETag", "Last-Modified"))
    return Validators(url, etag, last_modified) if etag or last_modified else None


def _kept(value: str | None) -> str | None:
    """Return a validator if it can be sent back unchanged."""
    usable = value is not None and value.isascii() and value.isprintable() and len(value) <= _MAX_VALIDATOR
    return value if usable else None


def _target(url: "URL", answer: "aiohttp.ClientResponse") -> str:
    """Return the absolute target of a redirect, unchecked."""
    location = answer.headers.get("Location", "")
    if not location:
        raise ItemError(Code.HTTP_UNEXPECTED, f"HTTP {answer.status} without a Location", answer.status)
    return redirect_target(str(url), location)
