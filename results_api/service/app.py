"""The FastAPI application: routes, middleware, lifespan."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.middleware import Middleware
from fastapi.middleware.cors import CORSMiddleware

from results_api.service.compression import CompressionMiddleware
from results_api.service.error_responses import add_exception_handlers
from results_api.service.headers import RESPONSE_HEADERS, WEBHOOK_SECRET
from results_api.service.methods import HeadMiddleware
from results_api.service.middleware import (
    AccessLogMiddleware,
    BodyLimitMiddleware,
    BodyLimits,
    DrainingMiddleware,
    RequestIdMiddleware,
    SecurityHeadersMiddleware,
    UnhandledErrorMiddleware,
)
from results_api.service.openapi import openapi_of
from results_api.service.pages import docs, key, phone
from results_api.service.pages import jobs as jobs_pages
from results_api.service.pages.rendering import serve_files, show_unknown_addresses
from results_api.service.public_address import PublicAddressMiddleware
from results_api.service.routes import (
    classify,
    hosts,
    images,
    jobs,
    operations,
    reports,
    results,
)
from results_api.service.services import Services
from shared.settings import Settings

_DESCRIPTION = "Label images: one while you wait, or crawls of any size as jobs."
#: Bytes of a form beside its file.
_FORM_OVERHEAD = 1_000_000
_TAGS = [
    {"name": "classify", "description": "One image, while you wait."},
    {"name": "jobs", "description": "Crawls of any size: submit, follow, control, delete."},
    {"name": "results", "description": "What became of the images of a job."},
    {
        "name": "images",
        "description": "One image across all jobs: its results, and forgetting it.",
    },
    {"name": "hosts", "description": "The hosts that images are fetched from."},
    {"name": "operations", "description": "Liveness, readiness and metrics."},
]
_CORS_METHODS = ("GET", "HEAD", "POST", "DELETE")
_CORS_HEADERS = (
    *("Authorization", "Content-Encoding", "Content-Type", "Idempotency-Key"),
    *("If-None-Match", "Last-Event-ID", "X-Request-ID", WEBHOOK_SECRET),
)
#: All routes; static files come after them.
_ROUTERS = (
    *(classify, jobs, results, reports, images, hosts, operations),
    *(docs, key, phone, jobs_pages),
)


def make_app(services: Services) -> FastAPI:
    """Return the application, ready to be served."""
    app = _app(_middleware(services))
    app.state.services = services
    return app


def openapi_json() -> str:
    """Return the OpenAPI document as JSON, for ``docs/openapi.json``."""
    return json.dumps(_app([]).openapi(), indent=2, ensure_ascii=False) + "\n"


def _app(middleware: list[Middleware]) -> FastAPI:
    app = _App(
        title="SmartSight",
        description=_DESCRIPTION,
        version=version("smartsight"),
        license_info={"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        contact={"name": "Whoever runs this service"},
        openapi_tags=_TAGS,
        generate_unique_id_function=lambda route: route.name,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=middleware,
        lifespan=_lifespan,
    )
    add_exception_handlers(app)
    show_unknown_addresses(app)
    for router in _ROUTERS:
        app.include_router(router.routes)
    serve_files(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """At shutdown, stop dry runs, whose threads the event loop waits for, and close connections."""
    yield
    app.state.services.submissions.abandon()
    await app.state.services.image_fetcher.fetcher.close()


class _App(FastAPI):
    """An app with our OpenAPI document."""

    def openapi(self) -> dict[str, Any]:
        """Return the document, made once."""
        if not self.openapi_schema:
            self.openapi_schema = openapi_of(self)
        return self.openapi_schema


def _middleware(services: Services) -> list[Middleware]:
    """Return the middleware, outermost first."""
    settings = services.settings
    origins = Middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origins,
        allow_methods=_CORS_METHODS,
        allow_headers=_CORS_HEADERS,
        expose_headers=list(RESPONSE_HEADERS),
    )
    return [
        Middleware(RequestIdMiddleware),
        Middleware(AccessLogMiddleware, observer=services.observer),
        Middleware(SecurityHeadersMiddleware, cors=bool(settings.cors_origins)),
        Middleware(PublicAddressMiddleware, prefix=settings.root_path, trusted=settings.trusted_proxies),
        *([origins] if settings.cors_origins else []),
        Middleware(HeadMiddleware),
        Middleware(CompressionMiddleware),
        Middleware(DrainingMiddleware, draining=services.draining),
        Middleware(UnhandledErrorMiddleware),
        Middleware(BodyLimitMiddleware, limits=_body_limits(settings)),
    ]


def _body_limits(settings: Settings) -> BodyLimits:
    largest = max(settings.list_bytes, settings.upload_bytes) + _FORM_OVERHEAD
    return BodyLimits(largest, settings.body_pause, settings.body_timeout)
