"""Classify one image while the caller waits: its bytes, or what a URL leads to.

A person's single request is not a crawl, so robots.txt is not read (RFC 9309 is for automatic clients).
``X-Robots-Tag``, blocked hosts and the deny list hold as in a crawl.
"""

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from results_api.capacity import Capacity
from shared.classifier.classifier import Classifier, Prediction
from shared.errors import Code, ItemError, RequestError, ResourceError
from shared.fetching.fetcher import Fetched, Fetcher, FetchRequest, FetchResponse, Redirected
from shared.hosts import host_of
from shared.items import Result
from shared.store.store import Store

_log = logging.getLogger("smartsight.api")

#: How long to wait for stored labels, in seconds: after that, the model is faster.
_STORE_TIMEOUT = 0.5
#: Redirects that are followed, as by workers.
_MAX_REDIRECTS = 3
#: Value of ``Retry-After`` when too many images are being fetched, in seconds.
_RETRY_AFTER = 1.0


@dataclass(frozen=True, slots=True)
class ClassifiedImage:
    """The best classes of an image, best first, and whether they come from a stored result."""

    predictions: list[Prediction]
    reused: bool


class ClientDisconnectedError(Exception):
    """The client closed the connection before its image was classified."""


@dataclass(frozen=True)
class ImageClassifier:
    """Classifies images in ``threads``; ``capacity`` bounds how many at once."""

    store: Store
    classifier: Classifier
    model_id: int
    capacity: Capacity
    threads: Executor

    @property
    def model_name(self) -> str:
        """The model and its version."""
        return f"{self.classifier.model.name}@{self.classifier.model.version}"

    async def classify(
        self, content: bytes, top: int, is_gone: Callable[[], Awaitable[bool]]
    ) -> ClassifiedImage:
        """Return the ``top`` best classes of an image file.

        Raises ``ItemError`` if the image cannot be decoded or is denied, ``RequestError(at_capacity)``, and
        ``ClientDisconnectedError`` if the client has disconnected when its turn comes.
        """
        with self.capacity.admit():
            known = await self._stored(content, top)
            if known is not None:
                return ClassifiedImage(self._predictions(known, top), reused=True)
            async with self.capacity.slot():
                if await is_gone():
                    raise ClientDisconnectedError
                return await self._classify(content, top)

    async def _classify(self, content: bytes, top: int) -> ClassifiedImage:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self.threads, self.classifier.classify, content, top)
        return ClassifiedImage(list(found.predictions), reused=False)

    async def _stored(self, content: bytes, top: int) -> Result | None:
        """Return the result of the same bytes under the same model, if it has enough classes.

        Raises ``ItemError(forgotten)`` if the bytes are denied. Nothing is known while the store is away or
        slow: the image is classified then, and nothing of it is stored.
        """
        try:
            async with asyncio.timeout(_STORE_TIMEOUT):
                found = await asyncio.to_thread(self._look_up, content)
        except (ResourceError, TimeoutError) as error:
            _log.warning("skipping the lookup of stored labels", extra={"reason": str(error) or "timeout"})
            return None
        enough = min(top, len(self.classifier.model.labels))
        return found if found is not None and len(found.class_ids) >= enough else None

    def _look_up(self, content: bytes) -> Result | None:
        digest = hashlib.sha256(content).hexdigest()
        if self.store.deny_list.contents([digest]):
            raise ItemError(Code.FORGOTTEN)
        return self.store.results.labelled(self.model_id, [digest]).get(digest)

    def _predictions(self, known: Result, top: int) -> list[Prediction]:
        labels = self.classifier.model.labels
        best = zip(known.class_ids[:top], known.scores[:top], strict=True)
        return [Prediction(class_id, labels[class_id], score) for class_id, score in best]


class ThrottledFetcher(Fetcher, Protocol):
    """A fetcher that knows which hosts have a rate limit."""

    def throttled_host(self, url: str) -> str | None:
        """Return the host that a URL calls, if it has a rate limit."""
        ...


@dataclass
class ImageUrlFetcher:
    """Fetches images by URL, with a limit on concurrent requests for each host."""

    fetcher: ThrottledFetcher
    store: Store
    host_connections: int
    _calls: Counter[str] = field(default_factory=Counter)

    async def fetch(self, url: str) -> bytes:
        """Return the bytes of an image; raise ``ItemError``, or ``RequestError(at_capacity)``."""
        for _ in range(1 + _MAX_REDIRECTS):
            await asyncio.to_thread(self._check_url, url)
            with self._limit(self.fetcher.throttled_host(url) or ""):
                answer = await self.fetcher.fetch(FetchRequest(url))
            if not isinstance(answer, Redirected):
                content = await asyncio.to_thread(_read, answer)
                await asyncio.to_thread(self._check_content, content)
                return content
            url = answer.url
        raise ItemError(Code.TOO_MANY_REDIRECTS, f"more than {_MAX_REDIRECTS}", final_url=url)

    def _check_url(self, url: str) -> None:
        if self.store.deny_list.urls([url]):
            raise ItemError(Code.FORGOTTEN)
        host = host_of(url)
        if host and self.store.hosts.blocked([host]):
            raise ItemError(Code.HOST_BLOCKED, host)

    def _check_content(self, content: bytes) -> None:
        if self.store.deny_list.contents([hashlib.sha256(content).hexdigest()]):
            raise ItemError(Code.FORGOTTEN)

    @contextmanager
    def _limit(self, host: str) -> Iterator[None]:
        """Hold one of the places for concurrent requests; ``host`` is empty where it has no limit."""
        if host and self._calls[host] >= self.host_connections:
            raise RequestError(Code.AT_CAPACITY, retry_after=_RETRY_AFTER)
        self._calls[host] += 1
        try:
            yield
        finally:
            self._calls[host] -= 1
            self._calls += Counter()  # drops hosts without calls


def _read(answer: FetchResponse) -> bytes:
    assert isinstance(answer, Fetched), "the request had no validators"
    return answer.read()
