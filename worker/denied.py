"""What is not to be touched: the deny list is asked before a host is, and before an image is classified."""

from shared.batch_loader import BatchLoader
from shared.errors import Code, ItemError
from shared.hosts import host_of
from shared.store.store import Store
from worker.store_retry import StoreRetry


class DenyList:
    """Says what was denied; questions that come together are one query."""

    def __init__(self, store: Store, store_retry: StoreRetry) -> None:
        self._urls = BatchLoader[str, bool](
            store_retry, lambda urls: dict.fromkeys(store.deny_list.urls(urls), True)
        )
        self._contents = BatchLoader[str, bool](
            store_retry, lambda sha256s: dict.fromkeys(store.deny_list.contents(sha256s), True)
        )

    async def check_url(self, url: str) -> None:
        """Raise ``ItemError(forgotten)`` for a URL that is denied; a file has none."""
        if host_of(url) and await self._urls.find(url):
            raise ItemError(Code.FORGOTTEN)

    async def check_content(self, sha256: str) -> None:
        """Raise ``ItemError(forgotten)`` for bytes that are denied."""
        if await self._contents.find(sha256):
            raise ItemError(Code.FORGOTTEN)
