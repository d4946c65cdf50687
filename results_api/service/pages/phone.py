"""The phone page as an installable app: the page, a manifest, and a service worker for offline use."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from results_api.service.dependencies import ServicesDep
from results_api.service.pages.rendering import POLICY, STATIC, asset, render, texts

routes = APIRouter(include_in_schema=False)

_FOLDER = Path(__file__).parent
#: Modules that the page's script imports, by bare names: an import map would have to be inline.
MODULES = (
    *("camera.js", "classify.js", "history.js", "kept-picture.js"),
    *("picture.js", "result.js", "words.js"),
)
#: Icons; a phone shows one of them.
_LOGOS = ("art/logo.svg", "art/mark.svg")
_VERSIONED = (
    "palette.css",
    "page.css",
    "phone.css",
    "phone.js",
    "offline.js",
    "icons/favicon.svg",
    "icons/favicon.ico",
    *_LOGOS,
)
_ICONS = (("icon", "any"), ("icon-maskable", "maskable"))
_SIDES = (192, 512)
_DAY = "public, max-age=86400"
#: Colours of an app's window and start screen.
_ACCENT, _GROUND = "#0b6e6e", "#f7f8f9"


@routes.get("/")
async def phone(request: Request, services: ServicesDep) -> Response:
    """Show the page with the camera; files that it cannot shrink are limited to the upload size."""
    modules = [f"static/{name}" for name in MODULES]
    most_bytes = services.settings.upload_bytes
    return render(request, "phone.html.jinja", most_bytes=most_bytes, modules=modules)


@routes.get("/offline")
async def offline(request: Request) -> Response:
    """Show that there is no connection."""
    return render(request, "offline.html.jinja")


@routes.get("/manifest.webmanifest")
async def app_manifest() -> Response:
    """Send the web app manifest."""
    headers = {"Cache-Control": "no-cache"}
    return JSONResponse(manifest(), headers=headers, media_type="application/manifest+json")


@routes.get("/service-worker.js")
async def service_worker_script(services: ServicesDep) -> Response:
    """Send the service worker: at the root, as its scope is all pages."""
    return service_worker(services.settings.upload_bytes)


@routes.get("/favicon.ico")
async def favicon() -> Response:
    """Send the icon that browsers request by themselves."""
    return FileResponse(STATIC / "icons" / "favicon.ico", headers={"Cache-Control": _DAY})


def manifest() -> dict[str, Any]:
    """Return the web app manifest (https://www.w3.org/TR/appmanifest/)."""
    words = texts()
    icons = [
        {
            "src": asset(f"icons/{name}-{side}.png"),
            "sizes": f"{side}x{side}",
            "type": "image/png",
            "purpose": purpose,
        }
        for name, purpose in _ICONS
        for side in _SIDES
    ]
    return {
        "name": words["layout"]["name"],
        "short_name": words["layout"]["name"],
        "description": words["phone"]["description"],
        "lang": words["lang"],
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "theme_color": _ACCENT,
        "background_color": _GROUND,
        "icons": icons,
    }


def service_worker(most_bytes: int) -> Response:
    """Return the service worker's script after the list of cached files, so that it changes with them."""
    files = [asset(name) for name in _VERSIONED] + [f"static/{name}" for name in MODULES]
    known = {"VERSION": _version_of_all(most_bytes), "FILES": [*files, "manifest.webmanifest"]}
    lines = [f"const {name} = {json.dumps(value)};\n" for name, value in known.items()]
    script = '"use strict";\n' + "".join(lines) + (STATIC / "service-worker.js").read_text("utf-8")
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
    return Response(script, media_type="text/javascript", headers=headers)


@cache
def _version_of_all(most_bytes: int) -> str:
    pages = ["phone.html.jinja", "offline.html.jinja", "layout.html.jinja", "texts/en.json"]
    templates = [(_FOLDER / name).read_text("utf-8") for name in pages]
    files = [asset(name) for name in (*_VERSIONED, *MODULES)]
    return hashlib.sha256(json.dumps([files, templates, most_bytes]).encode()).hexdigest()[:12]
