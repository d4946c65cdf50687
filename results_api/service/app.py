"""Put the service together: routes, limits, and what happens around every request."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.middleware import Middleware
from fastapi.middleware.cors import CORSMiddleware

from results_api.service.document import describe
from results_api.service.failures import handle_failures
from results_api.service.middleware import (
    AccessLogMiddleware,
    BodyLimitMiddleware,
    BodyLimits,
    DrainingMiddleware,
    RequestIdMiddleware,
    SecurityHeadersMiddleware,
    UnhandledErrorMiddleware,
)
from results_api.service.pages.files import serve_files
from results_api.service.routes import (
    classify,
    desk,
    docs,
    events,
    images,
    jobs,
    keys,
    operations,
    phone,
    results,
    submitting,
    thumbnails,
)
from results_api.service.services import Services
from shared.settings import Settings

_DESCRIPTION = "Label images: one at once, or crawls of any size as jobs."
#: What a form has around the list or the image that it brings along, in bytes.
_AROUND_A_FILE = 1_000_000
_METHODS = ("GET", "POST", "DELETE")
_ASKED_WITH = (
    *("Authorization", "Content-Type", "Idempotency-Key"),
    *("If-None-Match", "Last-Event-ID", "X-Request-ID"),
)
#: Everything that can be asked for; the files of pages come behind it.
_RESOURCES = (
    *(classify, submitting, jobs, events, results, thumbnails, images, operations),
    *(docs, keys, phone, desk),
)
_READ_BY_PAGES = ("ETag", "Location", "Retry-After", "X-Request-ID")


def make_app(services: Services) -> FastAPI:
    """Return the service, ready to be run."""
    app = _app(_around(services))
    app.state.services = services
    return app


def openapi_json() -> str:
    """Return ``docs/openapi.json``: the document that the service gives of itself."""
    return json.dumps(_app([]).openapi(), indent=2, ensure_ascii=False) + "\n"


def _app(around: list[Middleware]) -> FastAPI:
    app = _Described(
        title="SmartSight",
        description=_DESCRIPTION,
        version=version("smartsight"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=around,
        lifespan=_open,
    )
    handle_failures(app)
    for resource in _RESOURCES:
        app.include_router(resource.routes)
    serve_files(app)
    return app


@asynccontextmanager
async def _open(app: FastAPI) -> AsyncIterator[None]:
    """Give connections back in the end, in the loop that they were made in.

    Estimates that nobody waits for any more are stopped first: the loop does not end before its threads do.
    """
    yield
    app.state.services.submissions.abandon()
    await app.state.services.image_fetcher.fetcher.close()


class _Described(FastAPI):
    """An app whose document says what all operations have in common."""

    def openapi(self) -> dict[str, Any]:
        """Return the document, which is made once."""
        if not self.openapi_schema:
            self.openapi_schema = describe(self)
        return self.openapi_schema


def _around(services: Services) -> list[Middleware]:
    """Return what happens around every request, outermost first."""
    settings = services.settings
    origins = Middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=_METHODS,
        allow_headers=_ASKED_WITH,
        expose_headers=_READ_BY_PAGES,
    )
    return [
        Middleware(RequestIdMiddleware),
        Middleware(AccessLogMiddleware, observer=services.observer),
        Middleware(SecurityHeadersMiddleware, cors=bool(settings.cors_origins)),
        *([origins] if settings.cors_origins else []),
        Middleware(DrainingMiddleware, draining=services.draining),
        Middleware(UnhandledErrorMiddleware),
        Middleware(BodyLimitMiddleware, limits=_body_limits(settings)),
    ]


def _body_limits(settings: Settings) -> BodyLimits:
    largest = max(settings.list_bytes, settings.upload_bytes) + _AROUND_A_FILE
    return BodyLimits(largest, settings.body_pause, settings.body_timeout)
