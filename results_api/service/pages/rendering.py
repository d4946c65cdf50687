"""Render templates with everything escaped, and send pages with their Content-Security-Policy."""

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from results_api.report import words
from results_api.service.pages.files import asset
from shared.errors import printable

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDER = Path(__file__).parent
#: Texts in English; another language is another file.
_TEXTS = _FOLDER / "texts" / "en.json"
#: Scripts and styles from our own files only, so that untrusted text can be neither.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
    # Like "no-referrer" for other sites; but "no-referrer" would give our own forms the origin "null".
    "Referrer-Policy": "same-origin",
}


@cache
def texts() -> dict[str, Any]:
    """Return all texts of the pages, by page."""
    loaded: dict[str, Any] = json.loads(_TEXTS.read_text("utf-8"))
    return loaded


def render(request: Request, template: str, status: int = 200, **words: object) -> HTMLResponse:
    """Return a page as a response.

    All its links are relative: a proxy may serve us below any path.
    """
    return _answer(request, template, status, 0, words)


def render_part(request: Request, template: str, **words: object) -> HTMLResponse:
    """Return a fragment of the page one level above the request's path, for a script to insert."""
    return _answer(request, template, 200, 1, words)


def _answer(
    request: Request, template: str, status: int, above: int, words: dict[str, object]
) -> HTMLResponse:
    root = "../" * (request.scope["path"].count("/") - 1 - above)
    body = _environment().get_template(template).render(root=root, **words)
    return HTMLResponse(body, status, _HEADERS)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"t": texts(), "asset": asset, "share": words.share}
    environment.filters |= {
        "number": words.number,
        "duration": words.duration,
        "size": words.size,
        "rate": words.rate,
        "printable": printable,
        "moment": _moment,
    }
    return environment


def _moment(time: str) -> str:
    """Return a time of the API for people: to the minute."""
    return f"{time[:10]} {time[11:16]} UTC"
