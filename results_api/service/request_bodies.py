"""Request bodies: JSON, forms and lists. Bytes are counted as they arrive, whatever the headers say."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import IO, TypeVar, cast

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.types import Message

from results_api.service.error_responses import place_of
from results_api.service.form_parser import parse_form
from results_api.service.headers import announced_size
from results_api.service.job_models import (
    JobCreate,
    JobCreateForm,
    JobCreateParams,
    JobCreateUrl,
    WebhookCreate,
)
from results_api.submissions import JobList
from shared.errors import Code, RequestError, printable
from shared.list_formats import KNOWN, MEDIA_TYPES, PARQUET, ListFormat, format_of

M = TypeVar("M", bound=BaseModel)

#: Bytes of a form beside its file.
_FORM_OVERHEAD = 64 * 1024
#: The most parts of a form.
_MAX_FILES, _MAX_FIELDS = 10, 50
#: Value of ``Retry-After`` when the disk is full, in seconds.
_DISK_FULL_RETRY_AFTER = 60.0
#: Bytes of a JSON body with a list: a hundred thousand URLs.
_MAX_JSON_LIST = 16_000_000
#: Bytes of a list that are kept in memory before it is moved to disk.
_MAX_IN_MEMORY = 1 << 20
#: Endings of packed lists by their content coding.
_PACKINGS = {"identity": "", "gzip": ".gz"}
#: Types of a form's parts that are files even if they have no name: text alone may be any field.
_FILE_TYPES = {*MEDIA_TYPES, "application/octet-stream"} - {"text/plain"}


def media_type(request: Request | UploadFile) -> str:
    """Return the media type in the ``Content-Type`` of a request or of a form's file, without parameters."""
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def limited(request: Request, limit: int, code: Code) -> Request:
    """Return a request that raises ``RequestError`` with this code when its body exceeds the limit.

    It raises before it asks for a body that is announced as larger: a client that waits for
    ``100 Continue`` (RFC 9110, section 10.1.1) sends none of it.
    """
    size, announced = 0, announced_size(request.headers)

    async def receive() -> Message:
        nonlocal size
        if announced > limit:
            raise RequestError(code, f"{announced} bytes; the limit is {limit} bytes")
        message = await request.receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise RequestError(code, f"the limit is {limit} bytes")
        return message

    return Request(request.scope, receive)


@asynccontextmanager
async def parsed_form(request: Request, limit: int, code: Code) -> AsyncIterator[FormData]:
    """Parse a form whose files have so many bytes at most; large files lie on disk meanwhile."""
    body = limited(request, limit + _FORM_OVERHEAD, code)
    async with AsyncExitStack() as stack:
        try:
            with disk_errors():
                form = await parse_form(body, _MAX_FILES, _MAX_FIELDS, _FILE_TYPES)
                stack.push_async_callback(form.close)
        except MultiPartException as error:
            raise RequestError(Code.REQUEST_INVALID, error.message) from error
        yield form


@contextmanager
def disk_errors() -> Iterator[None]:
    """Raise ``RequestError(disk_full)`` where a body cannot be written to disk."""
    try:
        yield
    except OSError as error:
        detail = error.strerror or ""
        raise RequestError(Code.DISK_FULL, detail, retry_after=_DISK_FULL_RETRY_AFTER) from error


def first_file(form: FormData) -> UploadFile | None:
    """Return the first file of a form, whatever its field is called."""
    return next((part for _, part in form.multi_items() if isinstance(part, UploadFile)), None)


async def json_body(request: Request, model: type[M], limit: int, *, optional: bool = False) -> M:
    """Return the JSON body of a request as a model, whose defaults stand for an ``optional`` empty body.

    Raises ``RequestError(request_invalid)`` with the first mistake, or ``body_too_large``.
    """
    content = await limited(request, limit, Code.BODY_TOO_LARGE).body()
    if optional and not content:
        content = b"{}"
    with validation_errors():
        return model.model_validate_json(content)


@contextmanager
def validation_errors() -> Iterator[None]:
    """Raise ``RequestError(request_invalid)`` with the first mistake: more would only hide it."""
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = place_of(first["loc"]) or "body"
        raise RequestError(Code.REQUEST_INVALID, printable(f"{place}: {first['msg']}")) from error


@dataclass(frozen=True, slots=True)
class SubmittedList:
    """A list that has arrived as a whole, and its webhook, not checked yet."""

    job_list: JobList
    webhook: WebhookCreate | None


@asynccontextmanager
async def submitted_list(
    request: Request, params: JobCreateParams, secret: str | None, limit: int
) -> AsyncIterator[SubmittedList]:
    """Read the list of a request: JSON, the file of a form, or the body itself, of ``limit`` bytes at most.

    ``secret`` is that of the webhook, if a header has it; ``params`` are the other options in the query.
    Raises ``RequestError`` with ``media_type_unsupported``, ``body_too_large``, ``disk_full`` or
    ``request_invalid``.
    """
    kind = media_type(request)
    if kind == "multipart/form-data":
        async with parsed_form(request, limit, Code.BODY_TOO_LARGE) as form:
            yield _from_form(form, params, secret)
        return
    with tempfile.SpooledTemporaryFile(_MAX_IN_MEMORY) as spool:
        file = cast(IO[bytes], spool)
        if kind == "application/json":
            yield await _from_json(request, file)
        else:
            name = _list_name(kind, request.headers.get("Content-Encoding", "identity"))
            with disk_errors():
                async for piece in limited(request, limit, Code.BODY_TOO_LARGE).stream():
                    file.write(piece)
                file.seek(0)
            given = _options(params, secret, {})
            yield SubmittedList(JobList(name, file, given.options()), given.webhook())


async def _from_json(request: Request, file: IO[bytes]) -> SubmittedList:
    """Write the URLs of a JSON body to a file as JSON Lines."""
    body = await json_body(request, JobCreate, _MAX_JSON_LIST)
    with disk_errors():
        await asyncio.to_thread(file.writelines, _lines(body))  # up to a third of a second
        file.seek(0)
    return SubmittedList(JobList("urls.jsonl", file, body.options()), body.webhook)


def _lines(body: JobCreate) -> Iterator[bytes]:
    for entry in body.urls:
        item = entry if isinstance(entry, JobCreateUrl) else JobCreateUrl(url=entry, id=None)
        yield json.dumps({"url": item.url, "id": item.id}).encode() + b"\n"


def _list_name(kind: str, encoding: str) -> str:
    if kind not in MEDIA_TYPES:
        known = ", ".join(("application/json", "multipart/form-data", *MEDIA_TYPES))
        detail = f"{printable(kind) or 'none given'}; supported: {known}"
        raise RequestError(Code.MEDIA_TYPE_UNSUPPORTED, detail)
    packing = _PACKINGS.get(encoding.strip().lower())
    if packing is None or (packing and MEDIA_TYPES[kind] == PARQUET):
        raise RequestError(Code.MEDIA_TYPE_UNSUPPORTED, f"Content-Encoding: {printable(encoding)}")
    return f"list{MEDIA_TYPES[kind]}{packing}"


def _from_form(form: FormData, params: JobCreateParams, secret: str | None) -> SubmittedList:
    file = first_file(form)
    if file is None:
        raise RequestError(Code.REQUEST_INVALID, "the form has no file")
    listed = format_of(file.filename) if file.filename else _format_by(media_type(file))
    if listed is None or listed.packing not in _PACKINGS.values():
        raise RequestError(Code.MEDIA_TYPE_UNSUPPORTED, f"{file.filename!r} ends in none of {KNOWN}")
    fields = {name: text for name, text in form.multi_items() if not isinstance(text, UploadFile)}
    given = _options(params, secret, fields)
    job_list = JobList(f"list{listed.ending}{listed.packing}", file.file, given.options())
    return SubmittedList(job_list, given.webhook())


def _format_by(kind: str) -> ListFormat | None:
    """Return the format of a list without a name, by its media type."""
    return ListFormat(MEDIA_TYPES[kind]) if kind in MEDIA_TYPES else None


def _options(params: JobCreateParams, secret: str | None, fields: dict[str, str]) -> JobCreateForm:
    """Return the options in the query, a header and the fields of a form; the last count most."""
    headers = {} if secret is None else {"webhook_secret": secret}
    with validation_errors():
        return JobCreateForm.model_validate(params.model_dump(exclude_unset=True) | headers | fields)
