"""The phone page, and what makes an app of it: a manifest, and a worker that answers without a connection."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request, Response

from results_api.service.pages.files import STATIC, asset
from results_api.service.pages.rendering import POLICY, render, texts

_FOLDER = Path(__file__).parent
#: What the page's script imports: by bare names, as an import map would have to be inline.
MODULES = ("camera.js", "classify.js", "history.js", "picture.js", "result.js", "words.js")
#: Of which a phone shows one.
_LOGOS = ("art/logo.svg", "art/mark.svg")
_VERSIONED = (
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
#: What stands around the page in an app's window, and behind its name while it starts.
_ACCENT, _GROUND = "#0b6e6e", "#f7f8f9"


def phone_page(request: Request, most_bytes: int) -> Response:
    """Return the page that takes a picture; what it cannot shrink it sends up to so many bytes."""
    modules = [f"static/{name}" for name in MODULES]
    return render(request, "phone.html.jinja", most_bytes=most_bytes, modules=modules)


def offline_page(request: Request) -> Response:
    """Return the page that stands for others when there is no connection."""
    return render(request, "offline.html.jinja")


def manifest() -> dict[str, Any]:
    """Return what a browser must know to install the page (https://www.w3.org/TR/appmanifest/)."""
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
    """Return the worker's script: what it keeps is written before it, so that it changes with all of that."""
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
