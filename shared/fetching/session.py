"""The HTTP client, set up so that it believes nothing and goes nowhere by itself."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING

from shared.fetching.guard import Guard

if TYPE_CHECKING:
    import aiohttp

#: How long a connection may take, in seconds.
_CONNECT_TIMEOUT = 5.0
#: Called when the request of this task is on its way: its pause counts from there.
when_sent: ContextVar[Callable[[], None] | None] = ContextVar("when_sent", default=None)


def open_session(guard: Guard, user_agent: str) -> "aiohttp.ClientSession":
    """Return a session that gets past the guard only; whoever asks limits how long a request takes.

    It follows the environment's proxies in nothing, keeps no cookies, asks for no encoding and undoes none.
    """
    import aiohttp

    return aiohttp.ClientSession(
        connector=guard.connector(),
        headers={"User-Agent": user_agent, "Accept": "image/*", "Accept-Encoding": "identity"},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        request_class=_request_class(),
    )


def _request_class() -> "type[aiohttp.ClientRequest]":
    """Return a kind of request that tells when it is sent, for less than aiohttp's own signals take."""
    import aiohttp

    class TellingRequest(aiohttp.ClientRequest):
        """Tells its task."""

        async def send(self, conn: "aiohttp.connector.Connection") -> "aiohttp.ClientResponse":
            answer = await super().send(conn)
            if tell := when_sent.get():
                tell()
            return answer

    return TellingRequest
