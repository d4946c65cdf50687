"""Answer even where a route breaks down, in the same shape as always."""

import logging

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from results_api.service.around.request_ids import request_id_of
from results_api.service.failures import answer
from shared.errors import Code, RequestError

_log = logging.getLogger("smartsight.api")


class Defects:
    """Turns whatever nobody expected into a 500 that names the request, and writes it to the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, come what may."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answered = False

        async def send_and_note(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except ClientDisconnect:
            pass  # nobody waits for an answer
        except Exception:
            request_id = request_id_of(scope)
            _log.exception("request %s broke down", request_id, extra={"request_id": request_id})
            if not answered:  # else the connection is closed, so that the answer is not taken for whole
                failure = RequestError(Code.INTERNAL_ERROR, f"request {request_id}")
                await answer(failure)(scope, receive, send)
