"""The key of whoever looks at the pages: given once, kept by their browser."""

import re
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from results_api.access import check_same_origin
from results_api.service.dependencies import ServicesDep, authorization_of, delete_key_cookie, set_key_cookie
from results_api.service.pages.rendering import render
from results_api.service.pages.route import PageRoute, key_wanted_page
from results_api.service.request_bodies import parsed_form, validation_errors
from shared.errors import Code, RequestError

routes = APIRouter(include_in_schema=False, route_class=PageRoute)

_MAX_KEY = 200
#: Bytes of a form with a key in it.
_MAX_FORM = 4096
#: A page of ours, named from the root: never another host's, as `//host` and `/\\host` would be.
_PAGE = re.compile(r"/(?![/\\])[A-Za-z0-9/_-]*")
_HOME = "/key"


class _Given(BaseModel):
    """A key, and the page to go on to."""

    key: str = Field(max_length=_MAX_KEY)
    next: str = Field(_HOME, max_length=_MAX_KEY)


@routes.get("/key")
async def key(
    request: Request, services: ServicesDep, next: Annotated[str, Query(max_length=_MAX_KEY)] = _HOME
) -> Response:
    """Show whether a key is kept, and take one; then go on to the page that asked for it."""
    requires_key = await services.access.requires_key()
    try:
        caller = await services.access.identify(authorization_of(request))
        failure = None
    except RequestError as error:
        caller = None
        failure = None if error.code is Code.KEY_MISSING else str(error)
    return render(
        request, "key.html.jinja", requires_key=requires_key, caller=caller, failure=failure, next=next
    )


@routes.post("/key")
async def keep(request: Request, services: ServicesDep) -> Response:
    """Have the browser keep a key that is good, and go on where it was asked for."""
    check_same_origin(request.headers.get("Host"), request.headers.get("Origin"))
    given = await _given(request)
    try:
        await services.access.identify(f"Bearer {given.key.strip()}")
    except RequestError as error:
        return key_wanted_page(request, error, given.next)
    response = _see(request, given.next)
    set_key_cookie(request, response, given.key.strip())
    return response


@routes.post("/key/forget")
async def forget(request: Request) -> Response:
    """Have the browser forget the key."""
    check_same_origin(request.headers.get("Host"), request.headers.get("Origin"))
    response = _see(request, _HOME)
    delete_key_cookie(response)
    return response


async def _given(request: Request) -> _Given:
    """Return what the form holds, of which no more is read than that can be: anybody may send one."""
    async with parsed_form(request, _MAX_FORM, Code.BODY_TOO_LARGE) as form:
        with validation_errors():
            return _Given.model_validate(dict(form))


def _see(request: Request, page: str) -> RedirectResponse:
    """Lead to a page of ours, from wherever this one is found."""
    up = "../" * (request.scope["path"].count("/") - 1)
    path = page if _PAGE.fullmatch(page) else _HOME
    return RedirectResponse((up or "./") + path.removeprefix("/"), status_code=303)
