"""The pages that explain the API: Swagger UI, and the error codes."""

from importlib.metadata import version

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from results_api.service.dependencies import PathPrefix
from results_api.service.error_responses import status_of
from results_api.service.pages.rendering import SWAGGER, render
from results_api.service.responses import json_response
from shared.errors import Code

routes = APIRouter(include_in_schema=False)


@routes.get("/docs")
async def docs(request: Request) -> Response:
    """Show the OpenAPI document in Swagger UI."""
    title = request.app.title
    return render(request, "docs.html.jinja", title=title, swagger=version(SWAGGER[0]))


@routes.get("/docs/")
async def docs_with_slash() -> Response:
    """Redirect to the page: its links are relative."""
    return RedirectResponse("../docs")


@routes.get("/openapi.json")
async def document(request: Request, prefix: PathPrefix) -> Response:
    """Send the OpenAPI document, with the path below which clients reach the service."""
    return json_response(request.app.openapi() | {"servers": [{"url": prefix or "/"}]})


@routes.get("/docs/errors")
async def errors(request: Request) -> Response:
    """Show all error codes, each at an anchor of its name."""
    return render(request, "errors.html.jinja", codes=list(Code), status_of=status_of)
