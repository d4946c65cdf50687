"""Render templates with everything escaped; serve static files; show errors as pages."""

import hashlib
import json
import os
from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.types import Scope

from results_api.service.error_responses import public_error, status_of
from shared import words
from shared.errors import Code, RequestError, SmartSightError, printable
from shared.list_formats import ENDINGS

if TYPE_CHECKING:
    from jinja2 import Environment

#: Styles, scripts, icons and logos.
STATIC = Path(__file__).parents[2] / "static"
#: The package with Swagger UI's files, so that browsers load nothing from other servers.
SWAGGER = ("fastapi_offline", "static")

_FOR_EVER = "public, max-age=31536000, immutable"
#: Revalidated each time, at the cost of a 304: modules are imported by names without a digest.
_ASK_AGAIN = "no-cache"
_FOLDER = Path(__file__).parent
#: Texts in English; another language is another file.
_TEXTS = _FOLDER / "texts" / "en.json"
#: Scripts and styles from our own files only, so that untrusted text can be neither.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
#: The report has its own styles, no script, and nothing from other servers.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
    # Like "no-referrer" for other sites; but "no-referrer" would give our own forms the origin "null".
    "Referrer-Policy": "same-origin",
}
#: Errors that a key, or another key, may mend.
_KEY_REQUIRED = (Code.KEY_MISSING, Code.KEY_INVALID, Code.SCOPE_MISSING)


@cache
def texts() -> dict[str, Any]:
    """Return all texts of the pages, by page."""
    loaded: dict[str, Any] = json.loads(_TEXTS.read_text("utf-8"))
    return loaded


def render(request: Request, template: str, status: int = 200, **values: object) -> HTMLResponse:
    """Return a page as a response.

    All its links are relative: a proxy may serve us below any path.
    """
    return _html_response(request, template, status, 0, values)


def render_part(request: Request, template: str, **values: object) -> HTMLResponse:
    """Return a fragment of the page one level above the request's path, for a script to insert."""
    return _html_response(request, template, 200, 1, values)


def report_response(page: str) -> HTMLResponse:
    """Return the page of a report, which is made elsewhere, with its policy."""
    headers = {"Content-Security-Policy": REPORT_POLICY, "Cache-Control": "no-store"}
    return HTMLResponse(page, headers=headers)


def _html_response(
    request: Request, template: str, status: int, above: int, values: dict[str, object]
) -> HTMLResponse:
    root = "../" * (request.scope["path"].count("/") - 1 - above)
    body = _environment().get_template(template).render(root=root, **values)
    return HTMLResponse(body, status, _HEADERS)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "t": texts(),
        "asset": asset,
        "share": words.share,
        "list_endings": ",".join(ENDINGS),
    }
    environment.filters |= {
        "number": words.number,
        "duration": words.duration,
        "size": words.size,
        "rate": words.rate,
        "printable": printable,
        "moment": _moment,
        "clock": _clock,
    }
    return environment


def _moment(time: str) -> str:
    """Return a time of the API for people: to the minute."""
    return f"{time[:10]} {time[11:16]} UTC"


def _clock(time: datetime) -> str:
    """Return the time of day of something that is counted again and again."""
    return f"{time:%H:%M:%S} UTC"


@cache
def asset(name: str) -> str:
    """Return the URL path of a file; it contains a digest of the content."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()
    return f"static/{name}?v={digest[:12]}"


class _Files(StaticFiles):
    """Static files; browsers may cache those requested with a version."""

    def file_response(
        self, full_path: "str | os.PathLike[str]", stat_result: os.stat_result, scope: Scope, *rest: Any
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, *rest)
        versioned = "v" in QueryParams(scope.get("query_string", b""))
        response.headers["Cache-Control"] = _FOR_EVER if versioned else _ASK_AGAIN
        return response


def serve_files(app: FastAPI) -> None:
    """Serve the pages' files in an app."""
    app.mount("/static", _Files(directory=STATIC))
    app.mount("/docs/swagger", _Files(packages=[SWAGGER]))


class PageRoute(APIRoute):
    """Shows errors as a page; where a key is required, with the form for it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of the page."""
        show = super().get_route_handler()

        async def show_page_or_error(request: Request) -> Response:
            try:
                return await show(request)
            except (SmartSightError, RequestValidationError) as error:
                return error_page(request, public_error(request, error))

        return show_page_or_error


def show_unknown_addresses(app: FastAPI) -> None:
    """Answer browsers, which accept pages, with a page where nothing is; others with the error as JSON."""
    respond = app.exception_handlers[HTTPException]

    @app.exception_handler(HTTPException)
    async def _page_or_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404 and "text/html" in request.headers.get("Accept", ""):
            return error_page(request, RequestError(Code.NOT_FOUND))
        response: Response = await respond(request, error)  # type: ignore[misc]
        return response


def error_page(request: Request, error: SmartSightError) -> Response:
    """Return the page of an error."""
    if error.code in _KEY_REQUIRED:
        return key_required_page(request, error, request.url.path)
    status = status_of(error.code)
    return render(request, "failure.html.jinja", status, code=error.code, message=str(error))


def key_required_page(request: Request, error: SmartSightError, next: str) -> Response:
    """Return the page that asks for a key, or for another one, and leads on to the page ``next``."""
    failure = None if error.code is Code.KEY_MISSING else str(error)
    words = {"requires_key": True, "caller": None, "failure": failure, "next": next}
    return render(request, "key.html.jinja", status_of(error.code), **words)
