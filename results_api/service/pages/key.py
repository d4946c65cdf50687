"""The page on which a browser is given its key."""

import re
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from results_api.access import check_same_origin
from results_api.service.dependencies import ServicesDep, authorization_of, delete_key_cookie, set_key_cookie
from results_api.service.pages.rendering import PageRoute, key_required_page, render
from results_api.service.request_bodies import parsed_form, validation_errors
from shared.errors import Code, RequestError

routes = APIRouter(include_in_schema=False, route_class=PageRoute)

_MAX_KEY = 200
#: Bytes of a form with a key in it.
_MAX_FORM = 4096
#: A path of ours: not another host's, as `//host` and `/\\host` would be.
_PAGE = re.compile(r"/(?![/\\])[A-Za-z0-9/_-]*")
_HOME = "/key"


class _KeyForm(BaseModel):
    """A key, and the page to show next."""

    key: str = Field(max_length=_MAX_KEY)
    next: str = Field(_HOME, max_length=_MAX_KEY)


@routes.get("/key")
async def key(
    request: Request, services: ServicesDep, next: Annotated[str, Query(max_length=_MAX_KEY)] = _HOME
) -> Response:
    """Show whether the browser has a key, and a form for one."""
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
    """Store a valid key in the browser, and redirect to the page that required it."""
    check_same_origin(request.headers.get("Host"), request.headers.get("Origin"))
    form = await _submitted(request)
    try:
        await services.access.identify(f"Bearer {form.key.strip()}")
    except RequestError as error:
        return key_required_page(request, error, form.next)
    response = _redirect(request, form.next)
    set_key_cookie(request, response, form.key.strip())
    return response


@routes.post("/key/forget")
async def forget(request: Request) -> Response:
    """Remove the key from the browser."""
    check_same_origin(request.headers.get("Host"), request.headers.get("Origin"))
    response = _redirect(request, _HOME)
    delete_key_cookie(request, response)
    return response


async def _submitted(request: Request) -> _KeyForm:
    """Return the form; its size is limited, as anybody may send one."""
    async with parsed_form(request, _MAX_FORM, Code.BODY_TOO_LARGE) as form:
        with validation_errors():
            return _KeyForm.model_validate(dict(form))


def _redirect(request: Request, page: str) -> RedirectResponse:
    """Redirect to a page of ours, relative to this one."""
    up = "../" * (request.scope["path"].count("/") - 1)
    path = page if _PAGE.fullmatch(page) else _HOME
    return RedirectResponse((up or "./") + path.removeprefix("/"), status_code=303)
