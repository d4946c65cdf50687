"""The pages that explain the service itself."""

from importlib.metadata import version

from fastapi import Request, Response

from results_api.service.error_responses import status_of
from results_api.service.pages.files import SWAGGER
from results_api.service.pages.rendering import render
from shared.errors import Code


def docs_page(request: Request, title: str) -> Response:
    """Return the page on which Swagger UI shows the service's document."""
    return render(request, "docs.html.jinja", title=title, swagger=version(SWAGGER[0]))


def errors_page(request: Request) -> Response:
    """Return the page that explains every code, each at an anchor of its name."""
    return render(request, "errors.html.jinja", codes=list(Code), status_of=status_of)
