"""One polite request for a task: may the URL be fetched, does the host's robots.txt allow it, what came."""

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cachetools import TTLCache
from yarl import URL

from shared.batch_loader import BatchLoader
from shared.errors import Code, ItemError
from shared.fetching.fetcher import Fetcher, FetchRequest, FetchResponse, Redirected
from shared.fetching.headers import code_of_status
from shared.hosts import host_of
from shared.items import Validators
from shared.store.store import Store
from worker.fetch_task import FetchTask
from worker.host_queues import HostSlot
from worker.observer import Observer
from worker.store_retry import StoreRetry

if TYPE_CHECKING:
    from shared.fetching.robots import Rules
    from shared.fetching.web import WebFetcher

#: Redirects that are followed (https://fetch.spec.whatwg.org allows 20; images of crawls need two).
_MAX_REDIRECTS = 3
#: How often an item that waited in the store may come back from processes that died, as in RabbitMQ.
_MAX_REDELIVERIES = 20
#: RFC 9309: what is read of a robots.txt, in bytes (2.5 wants 500 KiB), and how many redirects are followed
#: (2.3.1.2).
_MAX_ROBOTS_BYTES, _MAX_ROBOTS_REDIRECTS = 512 * 1024, 5
#: How long rules are cached, in the store and then in a process, in seconds: a day in all (2.4).
_STORE_TTL, _TTL = 23 * 3600.0, 3600.0
_ORIGIN = re.compile(r"https?://[^/?#]+", re.IGNORECASE)
#: Rules that a process caches, and their length in all, in characters: parsed they take twenty times that.
_MAX_RULES, _MAX_LENGTH = 2000, 4_000_000
#: Longest rules that are parsed in the event loop, in characters; longer ones would hold it up.
_PARSED_INLINE = 10_000
#: Failures to reach the host at all, or to get an answer for good: the item gets these codes themselves.
_UNREACHABLE = (
    *(Code.URL_NOT_ALLOWED, Code.DNS_FAILED, Code.CONNECT_FAILED),
    *(Code.CONNECT_TIMEOUT, Code.TLS_FAILED, Code.HTTP_INVALID, Code.HTTP_UNEXPECTED),
)


class DenyListChecker:
    """Checks URLs and images against the deny list; simultaneous look-ups are one query."""

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


class RobotsCache:
    """Knows the robots.txt of origins: fetched before their first image, shared by the fleet for a day."""

    def __init__(self, web: "WebFetcher", store: Store, store_retry: StoreRetry) -> None:
        self._web = web
        self._store = store
        self._store_retry = store_retry
        self._rules: TTLCache[str, Rules] = TTLCache(_MAX_LENGTH, _TTL, getsizeof=_size)

    def has_rules(self, url: str) -> bool:
        """Tell whether a robots.txt is read for a URL: not for files and our own hosts."""
        return self._web.throttled_host(url) is not None

    async def rules(self, url: str, slot: HostSlot) -> "Rules":
        """Return the rules for a URL; asking the host for them is a request like any other.

        Raises ``ItemError(robots_unavailable)`` if they cannot be had: RFC 9309, section 2.3.1.4, wants that
        to be taken as a prohibition.
        """
        # Rules are kept by the text before the path, which is cheaper to find than the origin that it names.
        match = _ORIGIN.match(url)
        beginning = match[0] if match else url
        known = self._rules.get(beginning)
        if known:
            return known
        origin = str(URL(beginning).origin())
        text = await self._store_retry.call(self._store.hosts.robots, origin, _STORE_TTL)
        if text is None:
            text = await self._fetch(origin, slot)
            await self._store_retry.call(self._store.hosts.save_robots, origin, text)
        return await self._remember(beginning, text)

    async def _remember(self, beginning: str, text: str) -> "Rules":
        from shared.fetching.robots import parse_rules  # loads the parser: only where there is a web

        robot = self._web.robot
        quick = len(text) <= _PARSED_INLINE
        rules = parse_rules(text, robot) if quick else await asyncio.to_thread(parse_rules, text, robot)
        self._rules[beginning] = rules
        return rules

    async def _fetch(self, origin: str, slot: HostSlot) -> str:
        url = f"{origin}/robots.txt"
        for hop in range(_MAX_ROBOTS_REDIRECTS + 1):
            try:
                async with slot.request():
                    if hop and self._web.throttled_host(url) is None:
                        raise ItemError(Code.URL_NOT_ALLOWED)  # inside, or a host of our own
                    answer = await self._web.fetch_text(url, _MAX_ROBOTS_BYTES, slot.request_sent)
                    if not isinstance(answer, Redirected):
                        return _text_of(*answer)
            except ItemError as error:
                if error.code in _UNREACHABLE and hop == 0:
                    raise
                raise _unavailable(error) from error
            url = answer.url
        return ""  # as if there were none (2.3.1.2)


@dataclass(frozen=True)
class PoliteFetcher:
    """Makes requests as the deny list, the hosts' robots.txt and their delays allow it."""

    fetcher: Fetcher
    robots: RobotsCache | None
    deny_list: DenyListChecker
    observer: Observer

    async def fetch(self, task: FetchTask, slot: HostSlot, known: Validators | None) -> FetchResponse:
        """Return the answer to the next request of a task.

        Raises ``ItemError``, and ``PostponedError`` if the host cannot be called soon.
        """
        await self.deny_list.check_url(task.url)
        _check_redeliveries(task)
        slot.check_host()
        if self.robots is not None and self.robots.has_rules(task.url):
            await self._check_robots(task, slot, self.robots)
        async with slot.request():
            answer = await self._request(task, slot, known)
        self.observer.stage_finished("fetch", slot.seconds())
        return answer

    async def _check_robots(self, task: FetchTask, slot: HostSlot, robots: RobotsCache) -> None:
        rules = await robots.rules(task.url, slot)
        slot.require_delay(rules.delay)
        forbidden = rules.against(task.url)
        if forbidden is not None:
            raise ItemError(Code.ROBOTS_DISALLOWED, forbidden, final_url=task.url)

    async def _request(self, task: FetchTask, slot: HostSlot, known: Validators | None) -> FetchResponse:
        try:
            answer = await self.fetcher.fetch(FetchRequest(task.url, known, slot.image_requested))
        except ItemError as error:
            if error.http_status == 503 and error.retry_after is None:
                error.retry_after = 0.0  # without a Retry-After it wants the usual pause
            raise
        if isinstance(answer, Redirected) and task.hops >= _MAX_REDIRECTS:
            raise ItemError(Code.TOO_MANY_REDIRECTS, f"more than {_MAX_REDIRECTS}", final_url=answer.url)
        return answer


def _check_redeliveries(task: FetchTask) -> None:
    """Raise ``ItemError`` for an item of the store that has come back too often: it would for ever."""
    if task.row is not None and task.delivery.redeliveries >= _MAX_REDELIVERIES:
        detail = f"{task.delivery.redeliveries} processes died while they had it"
        raise ItemError(Code.WORKER_CRASHED, detail)


def _size(rules: "Rules") -> int:
    """Return what an entry takes of the cache, in characters; short ones count as if they were longer."""
    return max(len(rules.text), _MAX_LENGTH // _MAX_RULES)


def _unavailable(error: ItemError) -> ItemError:
    return ItemError(
        Code.ROBOTS_UNAVAILABLE, str(error.code), error.http_status, error.retry_after, error.final_url
    )


def _text_of(status: int, body: bytes) -> str:
    """Return the rules in an answer: none where the host has no such page (2.3.1.3)."""
    if status == 429 or status >= 500:
        raise ItemError(code_of_status(status), f"its robots.txt: HTTP {status}", status)
    if status != 200:
        return ""
    # No database takes the character zero.
    return body.decode("utf-8-sig", "replace").replace("\0", "")
