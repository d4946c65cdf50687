"""The key of whoever looks at the pages: given once, kept by their browser."""

import re
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from results_api.access.origins import check_own_page
from results_api.service.cookies import authorization_of, forget_key, keep_key
from results_api.service.pages.rendering import render
from results_api.service.pages.route import PageRoute, key_wanted_page
from results_api.service.services import Here
from shared.errors import Code, RequestError

routes = APIRouter(include_in_schema=False, route_class=PageRoute)

_MAX_KEY = 200
#: A page of ours, named from the root: never another host's, as `//host` and `/\\host` would be.
_PAGE = re.compile(r"/(?![/\\])[A-Za-z0-9/_-]*")
_HOME = "/key"


@routes.get("/key")
async def key(
    request: Request, here: Here, next: Annotated[str, Query(max_length=_MAX_KEY)] = _HOME
) -> Response:
    """Show whether a key is kept, and take one; then go on to the page that asked for it."""
    wants_keys = await here.access.wants_keys()
    try:
        caller = await here.access.identify(authorization_of(request))
        failure = None
    except RequestError as error:
        caller = None
        failure = None if error.code is Code.KEY_MISSING else str(error)
    return render(request, "key.html.jinja", wants_keys=wants_keys, caller=caller, failure=failure, next=next)


@routes.post("/key")
async def keep(
    request: Request,
    here: Here,
    key: Annotated[str, Form(max_length=_MAX_KEY)],
    next: Annotated[str, Form(max_length=_MAX_KEY)] = _HOME,
) -> Response:
    """Have the browser keep a key that is good, and go on where it was asked for."""
    check_own_page(request.headers.get("Host"), request.headers.get("Origin"))
    try:
        await here.access.identify(f"Bearer {key.strip()}")
    except RequestError as error:
        return key_wanted_page(request, error, next)
    response = _see(request, next)
    keep_key(request, response, key.strip())
    return response


@routes.post("/key/forget")
async def forget(request: Request) -> Response:
    """Have the browser forget the key."""
    check_own_page(request.headers.get("Host"), request.headers.get("Origin"))
    response = _see(request, _HOME)
    forget_key(response)
    return response


def _see(request: Request, page: str) -> RedirectResponse:
    """Lead to a page of ours, from wherever this one is found."""
    up = "../" * (request.scope["path"].count("/") - 1)
    path = page if _PAGE.fullmatch(page) else _HOME
    return RedirectResponse((up or "./") + path.removeprefix("/"), status_code=303)
