"""End without haste: what is in hand is answered, what comes now is sent to another server."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from results_api.service.failures import answer
from results_api.service.middleware.access_log import OPERATIONS
from shared.errors import Code, RequestError

#: Seconds after which whoever was turned away may find another server, or this one started anew.
_RETRY_AFTER = 5.0


class Draining:
    """Whether the server is being stopped, and what it has in hand; all in the thread of its loop."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._in_hand: set[asyncio.Timeout] = set()

    @property
    def has_begun(self) -> bool:
        """Whether nothing new is taken any more."""
        return self._begun.is_set()

    def begin(self, grace: float) -> None:
        """Take nothing new, and give so many seconds to what is in hand."""
        self._begun.set()
        deadline = asyncio.get_running_loop().time() + grace
        for limit in self._in_hand:
            limit.reschedule(deadline)

    async def begun(self) -> None:
        """Wait until the server is being stopped: a stream that has no end of its own ends then."""
        await self._begun.wait()

    async def finished(self) -> None:
        """Wait until nothing is in hand."""
        await self._empty.wait()

    def take(self, limit: asyncio.Timeout) -> None:
        """Note a request that is in hand."""
        self._in_hand.add(limit)
        self._empty.clear()

    def leave(self, limit: asyncio.Timeout) -> None:
        """Note that it is not any more."""
        self._in_hand.discard(limit)
        if not self._in_hand:
            self._empty.set()


class Drain:
    """Turns new requests away while the server is being stopped, and bounds the others then."""

    def __init__(self, app: ASGIApp, draining: Draining) -> None:
        self._app = app
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or turn it away."""
        if scope["type"] != "http" or scope["path"] in OPERATIONS:
            await self._app(scope, receive, send)
        elif self._draining.has_begun:
            await _turn_away(scope, receive, send)
        else:
            await self._run(scope, receive, send)

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        answered = False

        async def send_and_note(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        limit = asyncio.timeout(None)
        try:
            async with limit:
                self._draining.take(limit)
                await self._app(scope, receive, send_and_note)
        except TimeoutError:
            if not limit.expired():
                raise
            if not answered:
                await _turn_away(scope, receive, send)
        finally:
            self._draining.leave(limit)


async def _turn_away(scope: Scope, receive: Receive, send: Send) -> None:
    response = answer(RequestError(Code.SHUTTING_DOWN, retry_after=_RETRY_AFTER))
    response.headers["Connection"] = "close"
    await response(scope, receive, send)
