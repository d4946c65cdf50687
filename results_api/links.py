"""Fetch one image from the web for somebody who waits, past the same gates as a crawl.

A person's single request is no crawl, so that robots.txt is not asked (RFC 9309 is for automatic clients);
what its owner says of the very image is (``X-Robots-Tag``), and so are blocked hosts and the deny list.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from shared.errors import Code, ItemError, RequestError
from shared.fetching.fetcher import Fetched, FetchRequest, FetchResponse, Redirected
from shared.hosts import host_of
from shared.store.store import Store

#: Redirects that are followed, as by workers.
_MAX_REDIRECTS = 3
#: Images that are fetched at the same time.
_AT_ONCE = 32
_COME_AGAIN = 1.0


class Web(Protocol):
    """What asks for URLs."""

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        """See ``Fetcher``."""
        ...

    def throttled_host(self, url: str) -> str | None:
        """See ``WebFetcher``."""
        ...

    async def close(self) -> None:
        """See ``Fetcher``."""
        ...


@dataclass
class Links:
    """Fetches images by URL, a few at a time, and fewer of one host."""

    web: Web
    store: Store
    of_one_host: int
    _calls: Counter[str] = field(default_factory=Counter)

    async def fetch(self, url: str) -> bytes:
        """Return the bytes of an image; raise ``ItemError``, or ``RequestError(at_capacity)``."""
        for _ in range(1 + _MAX_REDIRECTS):
            await asyncio.to_thread(self._check_rules, url)
            with self._call(self.web.throttled_host(url) or ""):
                answer = await self.web.fetch(FetchRequest(url))
            if not isinstance(answer, Redirected):
                content = await asyncio.to_thread(_read, answer)
                await asyncio.to_thread(self._check_content, content)
                return content
            url = answer.url
        raise ItemError(Code.TOO_MANY_REDIRECTS, f"more than {_MAX_REDIRECTS}", final_url=url)

    def _check_rules(self, url: str) -> None:
        if self.store.deny_list.urls([url]):
            raise ItemError(Code.FORGOTTEN)
        host = host_of(url)
        if host and self.store.hosts.blocked([host]):
            raise ItemError(Code.HOST_BLOCKED, host)

    def _check_content(self, content: bytes) -> None:
        if self.store.deny_list.contents([hashlib.sha256(content).hexdigest()]):
            raise ItemError(Code.FORGOTTEN)

    @contextmanager
    def _call(self, host: str) -> Iterator[None]:
        """Be one of few who call; places of our own need not be spared."""
        if self._calls.total() >= _AT_ONCE or (host and self._calls[host] >= self.of_one_host):
            raise RequestError(Code.AT_CAPACITY, retry_after=_COME_AGAIN)
        self._calls[host] += 1
        try:
            yield
        finally:
            self._calls[host] -= 1
            self._calls += Counter()  # forgets hosts that are not called any more


def _read(answer: FetchResponse) -> bytes:
    assert isinstance(answer, Fetched), "nobody was asked whether it was modified"
    return answer.read()
