"""POST to URLs of users, with the same checks as fetching and with limits."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from shared.errors import Code, ItemError
from shared.fetching.guard import Guard, UrlGate
from shared.fetching.headers import code_of_status, retry_after
from shared.fetching.session import RequestContext, open_session
from shared.items import now

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

#: Longest time for one request, in seconds.
_TIMEOUT = 10.0
#: Bytes of a response that are read.
_MAX_ANSWER = 65_536
# Requests are rare: a kept connection would often be broken by the next one.
_HEADERS = {"Accept": "*/*", "Connection": "close"}


class WebPoster:
    """Posts to https URLs and to own hosts; opens its session at the first request."""

    def __init__(self, guard: Guard, user_agent: str, timeout: float = _TIMEOUT) -> None:
        self._guard = guard
        self._user_agent = user_agent
        self._timeout = timeout
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Send one request; raise ``ItemError`` unless the status is 2xx.

        A redirect is a failure: following it could call any host.
        """
        target = check_target(self._guard, url)
        try:
            with RequestContext(url, self._timeout) as context:
                async with self._opened().post(
                    target, data=body, headers=_HEADERS | dict(headers), allow_redirects=False
                ) as answer:
                    context.status = answer.status
                    _check_status(answer)
                    await _drop(answer)
        except ItemError as error:
            # The status decides: the message was accepted, whatever happens to the rest of the response.
            if not _is_success(error.http_status):
                raise

    async def close(self) -> None:
        """Give connections back."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> "aiohttp.ClientSession":
        if self._session is None:
            self._session = open_session(self._guard, self._user_agent)
        return self._session


def check_target(gate: UrlGate, url: str) -> "URL":
    """Return a URL that may be posted to: https, or an own host.

    Raises ``ItemError(url_not_allowed)``.
    """
    checked = gate.check(url)
    if checked.scheme != "https" and not gate.is_own(checked):
        raise ItemError(Code.URL_NOT_ALLOWED, "not an https URL")
    return checked


def _check_status(answer: "aiohttp.ClientResponse") -> None:
    if not _is_success(answer.status):
        wait = retry_after(answer.headers.get("Retry-After", ""), now().timestamp())
        raise ItemError(code_of_status(answer.status), "", answer.status, wait)


def _is_success(status: int | None) -> bool:
    return status is not None and 200 <= status < 300


async def _drop(answer: "aiohttp.ClientResponse") -> None:
    """Read a response up to a limit, so that its writer is not cut off."""
    size = 0
    while size < _MAX_ANSWER and (chunk := await answer.content.readany()):
        size += len(chunk)
