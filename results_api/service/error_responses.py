"""Error responses: each code has one HTTP status, and every error has the same body."""

import logging
import math
from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Scope

from results_api.service.methods import allowed_methods
from results_api.service.public_address import public_address
from results_api.service.responses import (
    ALTERNATIVES,
    ERRORS_PAGE,
    EXAMPLE_ERRORS_PAGE,
    ErrorResponse,
    error_body,
)
from shared.errors import Code, RequestError, ResourceError, SmartSightError, message_for, printable

_log = logging.getLogger("smartsight.api")

#: Value of ``Retry-After`` while the database is unavailable, in seconds.
_RETRY_AFTER = 5.0
_STATUSES = {
    Code.CURSOR_INVALID: 400,
    Code.KEY_MISSING: 401,
    Code.KEY_INVALID: 401,
    Code.SCOPE_MISSING: 403,
    Code.ORIGIN_REFUSED: 403,
    Code.NOT_FOUND: 404,
    Code.JOB_UNKNOWN: 404,
    Code.KEY_UNKNOWN: 404,
    Code.IMAGE_UNKNOWN: 404,
    Code.THUMBNAIL_MISSING: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.NOT_ACCEPTABLE: 406,
    Code.REQUEST_TIMEOUT: 408,
    Code.JOB_NOT_READY: 409,
    Code.KEY_TAKEN: 409,
    Code.TOO_MANY_BYTES: 413,
    Code.BODY_TOO_LARGE: 413,
    Code.MEDIA_TYPE_UNSUPPORTED: 415,
    Code.NOT_AN_IMAGE: 415,
    Code.UNSUPPORTED_FORMAT: 415,
    Code.TOO_MANY_REQUESTS: 429,
    Code.QUOTA_EXCEEDED: 429,
    Code.INTERNAL_ERROR: 500,
    Code.AT_CAPACITY: 503,
    Code.DISK_FULL: 503,
    Code.SHUTTING_DOWN: 503,
    Code.NOT_READY: 503,
    Code.OUT_OF_MEMORY: 503,
    Code.DECODER_STALLED: 503,
    Code.DECODER_UNAVAILABLE: 503,
    Code.DATABASE_UNAVAILABLE: 503,
    Code.BROKER_UNAVAILABLE: 503,
}
#: Codes of the errors that Starlette raises.
_FRAMEWORK_CODES = {404: Code.NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED, 413: Code.BODY_TOO_LARGE}


def status_of(code: Code) -> int:
    """Return the HTTP status of an error: 422, unless another one fits better."""
    return _STATUSES.get(code, 422)


def error_responses(*codes: Code) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of these errors, with an example of each."""
    responses: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        status = status_of(code)
        media: dict[str, Any] = {"application/json": {"examples": {}}}
        response = responses.setdefault(status, {"model": ErrorResponse, "content": media})
        examples = response["content"]["application/json"]["examples"]
        examples[str(code)] = {"value": error_body(code, code.sentence, status, EXAMPLE_ERRORS_PAGE)}
        response["description"] = ", ".join(f"`{name}`" for name in examples)
    return responses


def error_response(error: SmartSightError, scope: Scope) -> JSONResponse:
    """Return the response for an error of a request."""
    status = status_of(error.code)
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status in (429, 503):
        wait = getattr(error, "retry_after", None)
        headers["Retry-After"] = str(max(1, math.ceil(_RETRY_AFTER if wait is None else wait)))
    return JSONResponse(_body(error.code, str(error), status, scope), status, headers)


def _body(code: Code, message: str, status: int, scope: Scope) -> dict[str, Any]:
    return error_body(code, message, status, public_address(scope).url(ERRORS_PAGE))


def add_exception_handlers(app: FastAPI) -> None:
    """Give every error of an app the same body."""

    @app.exception_handler(SmartSightError)
    async def _ours(request: Request, error: SmartSightError) -> JSONResponse:
        return error_response(public_error(request, error), request.scope)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return error_response(public_error(request, error), request.scope)

    @app.exception_handler(HTTPException)
    async def _framework(request: Request, error: HTTPException) -> JSONResponse:
        code = _FRAMEWORK_CODES.get(error.status_code, Code.REQUEST_INVALID)
        message = message_for(code, "" if code in _FRAMEWORK_CODES.values() else str(error.detail))
        # A body that the framework cannot parse is the same error as one that we cannot.
        status = status_of(code) if error.status_code == 400 else error.status_code
        headers = {"Allow": allowed_methods(request)} if code is Code.METHOD_NOT_ALLOWED else error.headers
        return JSONResponse(_body(code, message, status, request.scope), status, headers)


def public_error(request: Request, error: SmartSightError | RequestValidationError) -> SmartSightError:
    """Return what clients may see of an error; what else it says is logged."""
    if isinstance(error, RequestValidationError):
        return RequestError(Code.REQUEST_INVALID, _first_mistake(error))
    if isinstance(error, ResourceError):
        # The detail is about our database or our disk.
        fields = {
            "method": request.method,
            "path": printable(request.scope["path"]),
            "code": str(error.code),
            "reason": str(error),
            "request_id": getattr(request.state, "request_id", ""),
        }
        _log.error("resource unavailable", extra=fields)
        return RequestError(error.code)
    return error


def _first_mistake(error: RequestValidationError) -> str:
    """Return the first mistake, and where it is: more would only hide it."""
    first = error.errors()[0]
    return printable(f"{place_of(first['loc']) or 'body'}: {first['msg']}")


def place_of(location: Iterable[int | str]) -> str:
    """Return the place of a mistake as clients know it: without our names of alternatives."""
    return ".".join(str(part) for part in location if part not in ("body", *ALTERNATIVES))
