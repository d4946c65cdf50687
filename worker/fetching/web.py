"""Fetch images over HTTP with aiohttp: a time limit, a byte limit, few redirects, no decompression.

This is the plain fetcher for references that the user typed. It does not keep strangers' URLs away from
the inside of a network.
"""

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from shared.errors import Code, ItemError, printable
from worker.fetching.fetcher import Fetched

if TYPE_CHECKING:
    import aiohttp

_CONNECT_TIMEOUT = 5.0
_MAX_REDIRECTS = 3
#: More digits of Retry-After say no more than "long".
_MAX_DIGITS = 9
_HEADERS = {"User-Agent": "SmartSight", "Accept": "image/*", "Accept-Encoding": "identity"}
_CODES_BY_STATUS = {
    401: Code.HTTP_401,
    403: Code.HTTP_403,
    404: Code.HTTP_404,
    410: Code.HTTP_410,
    429: Code.RATE_LIMITED,
}


class WebFetcher:
    """Fetches http and https URLs. The session is opened at the first one: a run over files needs none."""

    def __init__(self, max_bytes: int, timeout: float) -> None:
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, ref: str) -> Fetched:
        """See ``Fetcher``."""
        if not ref.lower().startswith(("http://", "https://")):
            raise ItemError(Code.URL_NOT_ALLOWED, ref.partition("://")[0])
        async with _translated(), self._get(ref) as answer:
            if answer.status != 200:
                wait = retry_after(answer.headers.get("Retry-After", ""), time.time())
                raise ItemError(code_of_status(answer.status), f"HTTP {answer.status}", answer.status, wait)
            content = await self._read(answer)
            return Fetched(lambda: content, printable(str(answer.url)), answer.status)

    async def close(self) -> None:
        """See ``Fetcher``."""
        if self._session is not None:
            await self._session.close()

    def _get(self, url: str) -> "AbstractAsyncContextManager[aiohttp.ClientResponse]":
        # aiohttp counts the first request too.
        return self._open_session().get(url, max_redirects=_MAX_REDIRECTS + 1)

    def _open_session(self) -> "aiohttp.ClientSession":
        if self._session is None:
            import aiohttp

            timeout = aiohttp.ClientTimeout(total=self._timeout, sock_connect=_CONNECT_TIMEOUT)
            self._session = aiohttp.ClientSession(
                timeout=timeout,
                headers=_HEADERS,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                connector=aiohttp.TCPConnector(limit=0),  # the worker bounds how much is in flight
            )
        return self._session

    async def _read(self, answer: "aiohttp.ClientResponse") -> bytes:
        content = bytearray()
        async for chunk in answer.content.iter_any():
            content += chunk
            if len(content) > self._max_bytes:
                raise ItemError(Code.TOO_MANY_BYTES, f"the limit is {self._max_bytes}", answer.status)
        return bytes(content)


def code_of_status(status: int) -> Code:
    """Return the code that stands for an HTTP status other than 200."""
    if status in _CODES_BY_STATUS:
        return _CODES_BY_STATUS[status]
    if 400 <= status < 500:
        return Code.HTTP_4XX
    return Code.HTTP_5XX if status >= 500 else Code.HTTP_UNEXPECTED


def retry_after(header: str, now: float) -> float | None:
    """Return how many seconds a host asks us to wait, from its Retry-After header, at this time.

    RFC 9110, section 10.2.3: a number of seconds, or a date.
    """
    if header.isascii() and header.isdigit():
        return float(header[:_MAX_DIGITS])
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now)
    except (ValueError, OverflowError):
        return None


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    """Turn aiohttp's errors into ours."""
    import aiohttp

    try:
        yield
    except (aiohttp.ClientError, OSError, ValueError) as error:
        detail = getattr(error, "strerror", None) or str(error)
        raise ItemError(_code_of_error(error), detail) from error


def _code_of_error(error: Exception) -> Code:
    import aiohttp

    # From the narrow types to the broad: the first that fits decides.
    codes: list[tuple[type[Exception], Code]] = [
        (aiohttp.InvalidURL, Code.URL_NOT_ALLOWED),
        (aiohttp.NonHttpUrlClientError, Code.URL_NOT_ALLOWED),
        (aiohttp.TooManyRedirects, Code.TOO_MANY_REDIRECTS),
        (aiohttp.ClientConnectorDNSError, Code.DNS_FAILED),
        (aiohttp.ClientSSLError, Code.TLS_FAILED),
        (aiohttp.ConnectionTimeoutError, Code.CONNECT_TIMEOUT),
        (TimeoutError, Code.FETCH_TIMEOUT),
        (aiohttp.ClientConnectorError, Code.CONNECT_FAILED),
        (ValueError, Code.URL_NOT_ALLOWED),  # such as a host name that cannot be encoded
    ]
    return next((code for kind, code in codes if isinstance(error, kind)), Code.FETCH_FAILED)
