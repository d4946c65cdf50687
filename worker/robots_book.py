"""The robots.txt of every origin: asked for before the first request, known to the whole fleet for a day."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from yarl import URL

from shared.errors import Code, ItemError
from shared.fetching.fetcher import Redirected
from shared.store.store import Store
from worker.frontier.frontier import Turn
from worker.store_retry import StoreRetry

if TYPE_CHECKING:
    from shared.fetching.robots import Rules

#: RFC 9309: what is read of a robots.txt, in bytes (2.5 wants 500 KiB), and how many redirects are followed
#: (2.3.1.2).
_MAX_BYTES, _MAX_REDIRECTS = 512 * 1024, 5
#: For how long rules are kept, in the store and then in a process, in seconds: a day in all (2.4).
_KEPT_IN_STORE, _KEPT_HERE = 23 * 3600.0, 3600.0
_BEGINNING = re.compile(r"https?://[^/?#]+", re.IGNORECASE)
#: Rules that a process remembers, and their length in all, in characters: parsed they take twenty times that.
_REMEMBERED, _REMEMBERED_LENGTH = 2000, 4_000_000
#: Longest rules that are read at once, in characters; others in a thread, so that nobody waits for it.
_QUICKLY_READ = 10_000
#: Failures that say that nobody is there at all: they are told as they are.
_NOBODY = (
    *(Code.URL_NOT_ALLOWED, Code.DNS_FAILED, Code.CONNECT_FAILED),
    *(Code.CONNECT_TIMEOUT, Code.TLS_FAILED),
)


class Web(Protocol):
    """What spares hosts and reads their rules."""

    robot: str

    def throttled_host(self, url: str) -> str | None:
        """Return the host that a URL calls, or None if it is nobody's to be spared."""
        ...

    async def fetch_text(
        self, url: str, max_bytes: int, sent: Callable[[], None]
    ) -> tuple[int, bytes] | Redirected:
        """Return status and body of a page, cut off at so many bytes."""
        ...


class RobotsBook:
    """Knows the rules of origins."""

    def __init__(self, web: Web, store: Store, store_retry: StoreRetry) -> None:
        self._web = web
        self._store = store
        self._store_retry = store_retry
        self._rules: OrderedDict[str, tuple[Rules, float]] = OrderedDict()
        self._length = 0

    async def rules(self, turn: Turn) -> "Rules":
        """Return the rules for the URL of an errand; asking the host for them is a request like any other.

        Raises ``ItemError(robots_unavailable)`` if they cannot be had: RFC 9309, section 2.3.1.4, wants that
        to be taken as a prohibition.
        """
        url = turn.errand.url
        # Rules are kept by the text before the path, which is cheaper to find than the origin that it names.
        match = _BEGINNING.match(url)
        beginning = match[0] if match else url
        known = self._rules.get(beginning)
        if known and turn.frontier.now() - known[1] < _KEPT_HERE:
            return known[0]
        if known:
            self._length -= len(self._rules.pop(beginning)[0].text)
        origin = str(URL(url).origin())
        text = await self._store_retry.call(self._store.hosts.robots, origin, _KEPT_IN_STORE)
        if text is None:
            text = await self._ask(turn, origin)
            await self._store_retry.call(self._store.hosts.save_robots, origin, text)
        return await self._remember(beginning, text, turn.frontier.now())

    async def _remember(self, beginning: str, text: str, now: float) -> "Rules":
        from shared.fetching.robots import parse_rules  # loads the parser: only where there is a web

        quick = len(text) <= _QUICKLY_READ
        robot = self._web.robot
        rules = parse_rules(text, robot) if quick else await asyncio.to_thread(parse_rules, text, robot)
        self._rules[beginning] = rules, now
        self._length += len(text)
        while len(self._rules) > _REMEMBERED or self._length > _REMEMBERED_LENGTH:
            (forgotten, _) = self._rules.popitem(last=False)[1]
            self._length -= len(forgotten.text)
        return rules

    async def _ask(self, turn: Turn, origin: str) -> str:
        url = f"{origin}/robots.txt"
        for hop in range(_MAX_REDIRECTS + 1):
            await turn.begin_request()
            try:
                if hop and self._web.throttled_host(url) is None:
                    raise ItemError(Code.URL_NOT_ALLOWED)  # inside, or a place of our own
                answer = await self._web.fetch_text(url, _MAX_BYTES, turn.sent)
                text = None if isinstance(answer, Redirected) else _text_of(*answer)
            except ItemError as error:
                turn.judge(error.code, error.retry_after)
                if error.code in _NOBODY and hop == 0:
                    raise
                raise _unavailable(error) from error
            turn.judge(None)
            if text is not None:
                return text
            assert isinstance(answer, Redirected)
            url = answer.url
        return ""  # as if there were none (2.3.1.2)


def _unavailable(error: ItemError) -> ItemError:
    return ItemError(
        Code.ROBOTS_UNAVAILABLE, str(error.code), error.http_status, error.retry_after, error.final_url
    )


def _text_of(status: int, body: bytes) -> str:
    """Return the rules in an answer: none where the host has no such page (2.3.1.3)."""
    if status == 429 or status >= 500:
        raise ItemError(Code.RATE_LIMITED if status == 429 else Code.HTTP_5XX, "", status)
    if status != 200:
        return ""
    # No database takes the character zero.
    return body.decode("utf-8-sig", "replace").replace("\0", "")
