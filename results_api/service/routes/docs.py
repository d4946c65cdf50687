"""The service explains itself: its document to be tried out, and its errors."""

import os
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import Scope

from results_api.service.pages.pages import ASSETS, SWAGGER, docs_page, errors_page

routes = APIRouter(include_in_schema=False)

# Swagger UI has its small pictures in its style sheet.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
#: The URL of a file has its version: what it was stays what it is.
_FILE = {"Cache-Control": "public, max-age=31536000, immutable"}


@routes.get("/docs")
async def docs(request: Request) -> Response:
    """Show all that can be asked."""
    return HTMLResponse(docs_page(request.app.title), headers=_PAGE)


@routes.get("/docs/")
async def docs_elsewhere() -> Response:
    """Lead to the page: what it refers to is found from there."""
    return RedirectResponse("../docs")


@routes.get("/docs/errors")
async def errors() -> Response:
    """Explain every failure."""
    return HTMLResponse(errors_page(), headers=_PAGE)


class _Files(StaticFiles):
    """Files that browsers may keep."""

    def file_response(
        self, full_path: "str | os.PathLike[str]", stat_result: os.stat_result, scope: Scope, *rest: Any
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, *rest)
        response.headers.update(_FILE)
        return response


def serve_files(app: FastAPI) -> None:
    """Let an app give out what the pages refer to."""
    app.mount("/docs/assets", _Files(directory=ASSETS))
    app.mount("/docs/swagger", _Files(packages=[SWAGGER]))
