"""Tell browsers what they may do with an answer: next to nothing, unless the route says otherwise.

https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html#security-headers
"""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_RESOURCES = "Cross-Origin-Resource-Policy"


class SecurityHeaders:
    """Adds to every answer the headers that it does not have yet."""

    def __init__(self, app: ASGIApp, *, other_origins: bool) -> None:
        self._app = app
        # Where pages of other origins are let in, what they may read is for CORS to say.
        self._headers = _HEADERS if other_origins else _HEADERS | {_RESOURCES: "same-origin"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request with all headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)
