"""HTTP methods: HEAD wherever there is GET, and which methods a resource has."""

from fastapi import FastAPI, Request
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Methods of our routes; HEAD goes with GET.
_METHODS = ("GET", "POST", "DELETE")


class HeadMiddleware:
    """Answers HEAD as GET, without the body (RFC 9110, section 9.3.2); a stream is not begun."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a HEAD request on as GET; other requests as they are."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        # A copy: the server looks at its own to know that no body follows.
        inner = {**scope, "method": "GET"}
        await self._app(inner, receive, _HeadersOnly(send))
        if "route" in inner:
            scope["route"] = inner["route"]  # for the access log


class _HeadersOnly:
    """Sends the start of a response and ends it there, which tells a stream that nobody reads on."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._send(message)
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def allowed_methods(request: Request) -> str:
    """Return the ``Allow`` header of the resource of a request: the methods of all its routes."""
    app: FastAPI = request.app
    # A mounted app changes the paths of the scope that it is given.
    scope = dict(request.scope) | {"root_path": request.scope.get("app_root_path", "")}
    methods = [method for method in _METHODS if any(_has(route, scope, method) for route in app.routes)]
    return ", ".join(
        name for method in methods for name in (["GET", "HEAD"] if method == "GET" else [method])
    )


def _has(route: BaseRoute, scope: Scope, method: str) -> bool:
    if isinstance(route, Mount) and method != "GET":
        return False  # files
    return route.matches({**scope, "method": method})[0] is Match.FULL
