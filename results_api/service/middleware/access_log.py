"""Write a line for every request, and tell the observer of it: neither query strings nor headers."""

import logging
import time
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from results_api.service.middleware.bodies import is_gone
from results_api.service.middleware.request_ids import request_id_of
from results_api.service.observer import ServiceObserver
from shared.errors import printable

_log = logging.getLogger("smartsight.access")

#: What probes ask for, again and again.
OPERATIONS = ("/livez", "/readyz", "/metrics")
#: No answer: whoever asked broke off before. It is nginx's number for that, and no status of HTTP.
_GONE = 499
#: Stands for all paths at which there is nothing: they are without number.
_NOWHERE = "none"


@dataclass
class _Answer:
    status: int = _GONE
    sent: int = 0


class AccessLog:
    """Sees every request begin and end."""

    def __init__(self, app: ASGIApp, observer: ServiceObserver) -> None:
        self._app = app
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and write down how."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer, began = _Answer(), time.perf_counter()

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
            else:
                answer.sent += len(message.get("body", b""))
            await send(message)

        self._observer.began()
        try:
            await self._app(scope, receive, send_and_count)
        finally:
            if is_gone(scope):
                answer.status = _GONE
            seconds = time.perf_counter() - began
            self._observer.ended(scope["method"], _route(scope), answer.status, seconds)
            _write(scope, answer, seconds)


def _write(scope: Scope, answer: _Answer, seconds: float) -> None:
    level = logging.DEBUG if scope["path"] in OPERATIONS else logging.INFO
    if not _log.isEnabledFor(level):
        return
    path, client = printable(scope["path"]), scope.get("client")
    extra = {
        "method": scope["method"],
        "path": path,
        "route": _route(scope),
        "status": answer.status,
        "milliseconds": round(1000 * seconds, 1),
        "bytes": answer.sent,
        "request_id": request_id_of(scope),
        "key_id": scope.get("state", {}).get("key_id"),
        "client": client[0] if client else None,
    }
    _log.log(level, "%s %s %d", scope["method"], path, answer.status, extra=extra)


def _route(scope: Scope) -> str:
    """Return the template of the route that answered."""
    route: str = getattr(scope.get("route"), "path", _NOWHERE)
    return route
