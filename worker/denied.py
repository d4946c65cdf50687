"""What is not to be touched: the deny list is asked before a host is, and before an image is classified."""

from collections.abc import Collection
from typing import Protocol

from shared.errors import Code, ItemError
from shared.gathering import Gathered
from shared.hosts import host_of
from worker.patience import Patience


class DenyStore(Protocol):
    """What obeying the deny list needs of the store."""

    def denied_urls(self, urls: Collection[str]) -> set[str]:
        """See ``Store``."""
        ...

    def denied_contents(self, sha256s: Collection[str]) -> set[str]:
        """See ``Store``."""
        ...


class DenyList:
    """Says what was denied; questions that come together are one query."""

    def __init__(self, store: DenyStore, patience: Patience) -> None:
        self._urls = Gathered[str, bool](patience, lambda urls: dict.fromkeys(store.denied_urls(urls), True))
        self._contents = Gathered[str, bool](
            patience, lambda sha256s: dict.fromkeys(store.denied_contents(sha256s), True)
        )

    async def check_url(self, url: str) -> None:
        """Raise ``ItemError(forgotten)`` for a URL that is denied; a file has none."""
        if host_of(url) and await self._urls.find(url):
            raise ItemError(Code.FORGOTTEN)

    async def check_content(self, sha256: str) -> None:
        """Raise ``ItemError(forgotten)`` for bytes that are denied."""
        if await self._contents.find(sha256):
            raise ItemError(Code.FORGOTTEN)
