"""The service explains itself: its document to be tried out, and its errors."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from results_api.service.pages.pages import docs_page, errors_page

routes = APIRouter(include_in_schema=False)


@routes.get("/docs")
async def docs(request: Request) -> Response:
    """Show all that can be asked."""
    return docs_page(request, request.app.title)


@routes.get("/docs/")
async def docs_elsewhere() -> Response:
    """Lead to the page: what it refers to is found from there."""
    return RedirectResponse("../docs")


@routes.get("/docs/errors")
async def errors(request: Request) -> Response:
    """Explain every failure."""
    return errors_page(request)
