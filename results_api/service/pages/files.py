"""Serve the files of the pages; URLs with a digest may be cached for ever."""

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.types import Scope

#: Styles, scripts, icons and logos.
STATIC = Path(__file__).parents[2] / "static"
#: The package with Swagger UI's files, so that browsers load nothing from other servers.
SWAGGER = ("fastapi_offline", "static")

_FOR_EVER = "public, max-age=31536000, immutable"
#: Revalidated each time, at the cost of a 304: modules are imported by names without a digest.
_ASK_AGAIN = "no-cache"


@cache
def asset(name: str) -> str:
    """Return the URL path of a file; it contains a digest of the content."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()
    return f"static/{name}?v={digest[:12]}"


class _Files(StaticFiles):
    """Static files; browsers may cache those requested with a version."""

    def file_response(
        self, full_path: "str | os.PathLike[str]", stat_result: os.stat_result, scope: Scope, *rest: Any
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, *rest)
        versioned = "v" in QueryParams(scope.get("query_string", b""))
        response.headers["Cache-Control"] = _FOR_EVER if versioned else _ASK_AGAIN
        return response


def serve_files(app: FastAPI) -> None:
    """Serve the pages' files in an app."""
    app.mount("/static", _Files(directory=STATIC))
    app.mount("/docs/swagger", _Files(packages=[SWAGGER]))
