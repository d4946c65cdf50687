"""Give out the files that pages refer to; what has its digest in its URL may be kept for ever."""

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

#: Styles, scripts, icons and the art that they are made of.
STATIC = Path(__file__).parents[2] / "static"
#: The package that brings Swagger UI along, so that nobody's browser asks a stranger for it.
SWAGGER = ("fastapi_offline", "static")

_FOR_EVER = "public, max-age=31536000, immutable"
#: To be asked for again each time, which costs a 304: modules are imported by their bare names.
_ASK_AGAIN = "no-cache"


@cache
def asset(name: str) -> str:
    """Return where one of our files is found, from the root: another place for every content."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()
    return f"static/{name}?v={digest[:12]}"


class _Files(StaticFiles):
    """Files that browsers may keep if they asked for one version of them."""

    def file_response(
        self, full_path: "str | os.PathLike[str]", stat_result: os.stat_result, scope: Scope, *rest: Any
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, *rest)
        versioned = "v" in QueryParams(scope.get("query_string", b""))
        response.headers["Cache-Control"] = _FOR_EVER if versioned else _ASK_AGAIN
        return response


def serve_files(app: FastAPI) -> None:
    """Let an app give out what the pages refer to."""
    app.mount("/static", _Files(directory=STATIC))
    app.mount("/docs/swagger", _Files(packages=[SWAGGER]))
