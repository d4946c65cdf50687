"""Put the service together: routes, limits, and what happens around every request."""

from importlib.metadata import version

from fastapi import FastAPI

from results_api.service.failures import handle_failures
from results_api.service.routes import classify, jobs, operations, submitting
from results_api.service.services import Services

_DESCRIPTION = "Label images: one at once, or crawls of any size as jobs."


def make_app(services: Services) -> FastAPI:
    """Return the service, ready to be run."""
    app = FastAPI(
        title="SmartSight",
        description=_DESCRIPTION,
        version=version("smartsight"),
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    handle_failures(app)
    for resource in (classify, submitting, jobs, operations):
        app.include_router(resource.routes)
    return app
