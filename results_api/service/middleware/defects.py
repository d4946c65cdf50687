"""Answer even where a route breaks down, in the same shape as always."""

import logging

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from results_api.service.failures import answer
from results_api.service.middleware.request_ids import request_id_of
from shared.errors import Code, RequestError, SmartSightError

_log = logging.getLogger("smartsight.api")


class Defects:
    """Turns whatever nobody expected into a 500 that names the request, and writes it to the log.

    Behind the beginning of an answer it closes the connection, so that the answer is not taken for whole.
    """

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
        except Exception as error:
            request_id = request_id_of(scope)
            if answered and isinstance(error.__cause__, SmartSightError):
                _tell_of_break(error.__cause__, request_id)
                return
            _log.exception("request %s broke down", request_id, extra={"request_id": request_id})
            if not answered:
                failure = RequestError(Code.INTERNAL_ERROR, f"request {request_id}")
                await answer(failure)(scope, receive, send)


def _tell_of_break(cause: SmartSightError, request_id: str) -> None:
    """Write down a failure that is no defect, and that came too late to be told to whoever asked."""
    extra = {"request_id": request_id}
    _log.warning("request %s was broken off: %s: %s", request_id, cause.code, cause, extra=extra)
