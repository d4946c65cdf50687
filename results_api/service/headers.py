"""Headers of our requests and responses: each once, for the documentation, for CORS and for the routes."""

import re
from typing import Any

from starlette.datastructures import Headers

_LENGTH = re.compile("[0-9]{1,18}")

#: Sends the secret of a list's webhook: in a URL it would be logged.
WEBHOOK_SECRET = "SmartSight-Webhook-Secret"
#: Tells whether a stream holds the results of a job that is over.
COMPLETE = "SmartSight-Complete"
REPLAYED = "Idempotency-Replayed"

#: Headers of responses, with their types and meanings.
RESPONSE_HEADERS = {
    "Allow": ("string", "The methods of the resource."),
    "Content-Disposition": ("string", "A file name for the results."),
    "Content-Encoding": ("string", "`gzip`, if the request accepts it."),
    "ETag": ("string", "Names this content: send it as `If-None-Match` next time."),
    REPLAYED: ("string", "`true` if the job was submitted before with this idempotency key."),
    "Location": ("string", "The path of the job."),
    "Retry-After": ("integer", "Seconds to wait before the next request."),
    COMPLETE: ("string", "Whether the job is over, `true` or `false`; if not, more results are to come."),
    "WWW-Authenticate": ("string", "`Bearer`"),
    "X-Request-ID": ("string", "Names the request; it is in our logs, too."),
}


def described(*names: str, required: bool = True) -> dict[str, Any]:
    """Return the OpenAPI description of these headers."""
    return {name: _described(name, required) for name in names}


def _described(name: str, required: bool) -> dict[str, Any]:
    type_, meaning = RESPONSE_HEADERS[name]
    return {"description": meaning, "required": required, "schema": {"type": type_}}


def announced_size(headers: Headers) -> int:
    """Return the size of a body by its ``Content-Length``, 0 if it is not announced."""
    announced = headers.get("Content-Length", "")
    return int(announced) if _LENGTH.fullmatch(announced) else 0
