"""Put the service together: routes, limits, and what happens around every request."""

import asyncio
from importlib.metadata import version

from fastapi import FastAPI

from results_api.service.failures import handle_failures
from results_api.service.routes import operations, results
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
    app.state.summaries = asyncio.Semaphore(results.SUMMARIES)
    handle_failures(app)
    for routes in (operations.routes, results.routes):
        app.include_router(routes)
    return app
