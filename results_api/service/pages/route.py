"""A route whose answer is a page, also where it fails: people read it, not programs."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from results_api.service.error_responses import public_error, status_of
from results_api.service.pages.rendering import render
from shared.errors import Code, SmartSightError

#: What a key, or another one, would help against.
_WANTS_KEY = (Code.KEY_MISSING, Code.KEY_INVALID, Code.SCOPE_MISSING)


class PageRoute(APIRoute):
    """Shows failures as a page; where a key is missing, with the form for it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request for the page."""
        show = super().get_route_handler()

        async def show_or_explain(request: Request) -> Response:
            try:
                return await show(request)
            except (SmartSightError, RequestValidationError) as error:
                return failure_page(request, public_error(request, error))

        return show_or_explain


def failure_page(request: Request, error: SmartSightError) -> Response:
    """Return the page that tells of a failure."""
    if error.code in _WANTS_KEY:
        return key_wanted_page(request, error, request.url.path)
    status = status_of(error.code)
    return render(request, "failure.html.jinja", status, code=error.code, message=str(error))


def key_wanted_page(request: Request, error: SmartSightError, next: str) -> Response:
    """Return the page that asks for a key, or for another one, to go on to the page ``next``."""
    failure = None if error.code is Code.KEY_MISSING else str(error)
    words = {"requires_key": True, "caller": None, "failure": failure, "next": next}
    return render(request, "key.html.jinja", status_of(error.code), **words)
