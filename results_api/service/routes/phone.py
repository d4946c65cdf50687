"""The page for whoever has a phone, which browsers can install; it needs no key."""

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse
from starlette.responses import Response

from results_api.service.dependencies import ServicesDep
from results_api.service.pages.files import STATIC
from results_api.service.pages.phone import manifest, offline_page, phone_page, service_worker

routes = APIRouter(include_in_schema=False)

_DAY = "public, max-age=86400"


@routes.get("/")
async def phone(request: Request, services: ServicesDep) -> Response:
    """Take a picture, and say what it is."""
    return phone_page(request, services.settings.upload_bytes)


@routes.get("/offline")
async def offline(request: Request) -> Response:
    """Say that there is no connection."""
    return offline_page(request)


@routes.get("/manifest.webmanifest")
async def app_manifest() -> Response:
    """Tell a browser how to install the page."""
    headers = {"Cache-Control": "no-cache"}
    return JSONResponse(manifest(), headers=headers, media_type="application/manifest+json")


@routes.get("/service-worker.js")
async def worker(services: ServicesDep) -> Response:
    """Give out the worker: at the root, so that it stands before all pages."""
    return service_worker(services.settings.upload_bytes)


@routes.get("/favicon.ico")
async def favicon() -> Response:
    """Give out the icon that browsers ask for unasked."""
    return FileResponse(STATIC / "icons" / "favicon.ico", headers={"Cache-Control": _DAY})
