"""Request bodies: JSON, forms and lists. Bytes are counted as they arrive, whatever the headers say."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    closing,
    contextmanager,
)
from dataclasses import dataclass
from typing import IO, TypeVar, cast

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.types import Message

from results_api.service import json_parts
from results_api.service.error_responses import place_of
from results_api.service.form_parser import parse_form
from results_api.service.headers import announced_size
from results_api.service.job_models import (
    MAX_URLS,
    JobCreate,
    JobCreateForm,
    JobCreateParams,
    JobCreateUrl,
    WebhookCreate,
)
from results_api.submissions import JobList
from shared.confined_process import PYTHON, ProcessEndedError, lines_of, start_confined
from shared.errors import Code, RequestError, printable
from shared.list_formats import ENCODINGS, KNOWN, MEDIA_TYPES, PARQUET, ListFormat, format_of

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
_PACKINGS = {"identity": "", **{encoding: ending for ending, encoding in ENCODINGS.items()}}
#: Types of a form's parts that are files even if they have no name: text alone may be any field.
_FILE_TYPES = {*MEDIA_TYPES, "application/octet-stream"} - {"text/plain"}
#: Bytes of a JSON body that is validated here, and longest part of a larger one.
_SMALL_JSON = 1 << 16
#: A turn to validate a long JSON body.
Turn = Callable[[], AbstractAsyncContextManager[None]]


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

    The limit is small: validating takes a few milliseconds. Raises ``RequestError(request_invalid)`` with the
    first mistake, or ``body_too_large``.
    """
    content = await limited(request, limit, Code.BODY_TOO_LARGE).body()
    return await asyncio.to_thread(_validated, model, content or b"{}" if optional else content)


def _validated(model: type[M], content: bytes, before: int = 0) -> M:
    """Return a model; if it is a part of a list, so many entries come ``before`` it."""
    with validation_errors(before):
        return model.model_validate_json(content)


@contextmanager
def validation_errors(before: int = 0) -> Iterator[None]:
    """Raise ``RequestError(request_invalid)`` with the first mistake: more would only hide it.

    So many entries of a list come ``before`` the numbers in its place.
    """
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        loc = [part + before if isinstance(part, int) else part for part in first["loc"]]
        place = place_of(loc) or "body"
        raise RequestError(Code.REQUEST_INVALID, printable(f"{place}: {first['msg']}")) from error


@dataclass(frozen=True, slots=True)
class SubmittedList:
    """A list that has arrived as a whole, and its webhook, not checked yet."""

    job_list: JobList
    webhook: WebhookCreate | None


@asynccontextmanager
async def submitted_list(
    request: Request, params: JobCreateParams, secret: str | None, limit: int, turn: Turn
) -> AsyncIterator[SubmittedList]:
    """Read the list of a request: JSON, the file of a form, or the body itself, of ``limit`` bytes at most.

    ``secret`` is that of the webhook, if a header has it; ``params`` are the other options in the query. A
    long JSON body waits for its ``turn``. Raises ``RequestError`` with ``media_type_unsupported``,
    ``body_too_large``, ``disk_full`` or ``request_invalid``.
    """
    kind = media_type(request)
    if kind == "multipart/form-data":
        async with parsed_form(request, limit, Code.BODY_TOO_LARGE) as form:
            yield _from_form(form, params, secret)
        return
    with tempfile.SpooledTemporaryFile(_MAX_IN_MEMORY) as spool:
        file = cast(IO[bytes], spool)
        if kind == "application/json":
            yield await _from_json(request, file, turn)
        else:
            name = _list_name(kind, request.headers.get("Content-Encoding", "identity"))
            with disk_errors():
                async for piece in limited(request, limit, Code.BODY_TOO_LARGE).stream():
                    file.write(piece)
                file.seek(0)
            given = _options(params, secret, {})
            yield SubmittedList(JobList(name, file, given.options()), given.webhook())


async def _from_json(request: Request, file: IO[bytes], turn: Turn) -> SubmittedList:
    """Write the URLs of a JSON body to a file as JSON Lines."""
    content = await limited(request, _MAX_JSON_LIST, Code.BODY_TOO_LARGE).body()
    if len(content) <= _SMALL_JSON:
        body = await asyncio.to_thread(_write_small, content, file)
    else:
        async with turn():
            body = await asyncio.to_thread(_write_large, content, file)
    return SubmittedList(JobList("urls.jsonl", file, body.options()), body.webhook)


def _write_small(content: bytes, file: IO[bytes]) -> JobCreate:
    body = _validated(JobCreate, content)
    with disk_errors():
        _write(body.urls, file)
        file.seek(0)
    return body


def _write_large(content: bytes, file: IO[bytes]) -> JobCreate:
    """Write the URLs piece by piece as another process splits them; return the body with the first one."""
    with disk_errors(), tempfile.TemporaryFile() as whole:
        whole.write(content)
        whole.seek(0)
        with closing(_split(whole)) as parts:
            body, count = _validated(JobCreate, next(parts)), 0
            for part in parts:
                urls = _validated(JobCreate, b'{"urls": %b}' % part, count).urls
                _write(urls, file)
                count += len(urls)
        file.seek(0)
    return body


def _split(whole: IO[bytes]) -> Generator[bytes]:
    """Yield the parts of a JSON body with URLs; raise ``RequestError(request_invalid)``."""
    command = (*PYTHON, "-m", json_parts.__name__, "urls", str(MAX_URLS), str(_SMALL_JSON))
    try:
        for part in lines_of(start_confined(command, whole), json_parts.CPU_SECONDS, lambda: None):
            if part.startswith(b'"'):
                raise RequestError(Code.REQUEST_INVALID, json.loads(part))
            yield part
    except ProcessEndedError as error:
        raise RequestError(Code.REQUEST_INVALID, "body: too complex") from error


def _write(urls: Iterable[str | JobCreateUrl], file: IO[bytes]) -> None:
    for entry in urls:
        item = entry if isinstance(entry, JobCreateUrl) else JobCreateUrl(url=entry, id=None)
        file.write(json.dumps({"url": item.url, "id": item.id}).encode() + b"\n")


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
    if listed is None:
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
