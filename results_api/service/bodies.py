"""Read what comes with a request: counted as it comes, whatever its headers say."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.types import Message

from shared.errors import Code, RequestError, printable

M = TypeVar("M", bound=BaseModel)

#: What a form has beside its file, in bytes.
_FORM_ROOM = 64 * 1024
#: Parts of a form that are looked at.
_MAX_FILES, _MAX_FIELDS = 10, 50
#: After how many seconds there may be room on the disk again.
_ROOM_AFTER = 60.0


def media_type(request: Request) -> str:
    """Return the type that a request says its body has, without parameters."""
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def counted(request: Request, limit: int, code: Code) -> Request:
    """Return a request that raises ``RequestError`` with this code when more of its body is read."""
    size = 0

    async def receive() -> Message:
        nonlocal size
        message = await request.receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise RequestError(code, f"the limit is {limit} bytes")
        return message

    return Request(request.scope, receive)


@asynccontextmanager
async def form_of(request: Request, limit: int, code: Code) -> AsyncIterator[FormData]:
    """Give the parts of a form whose files have so many bytes at most; large files lie on disk."""
    body = counted(request, limit + _FORM_ROOM, code)
    async with AsyncExitStack() as stack:
        try:
            with on_disk():
                parts = body.form(max_files=_MAX_FILES, max_fields=_MAX_FIELDS)
                form = await stack.enter_async_context(parts)
        except HTTPException as error:  # what Starlette makes of a form that is none
            raise RequestError(Code.REQUEST_INVALID, str(error.detail)) from error
        yield form


@contextmanager
def on_disk() -> Iterator[None]:
    """Raise ``RequestError(disk_full)`` where a body cannot be kept."""
    try:
        yield
    except OSError as error:
        raise RequestError(Code.DISK_FULL, error.strerror or "", retry_after=_ROOM_AFTER) from error


def first_file(form: FormData) -> UploadFile | None:
    """Return the first file of a form, whatever its field is called."""
    return next((part for _, part in form.multi_items() if isinstance(part, UploadFile)), None)


async def model_in(request: Request, kind: type[M], limit: int) -> M:
    """Return the JSON body of a request as a model; raise ``RequestError(request_invalid)``."""
    content = await counted(request, limit, Code.BODY_TOO_LARGE).body()
    return checked_model(kind, content)


async def optional_model_in(request: Request, kind: type[M], limit: int) -> M:
    """Return the same, or the model's defaults where there is no body."""
    content = await counted(request, limit, Code.BODY_TOO_LARGE).body()
    return checked_model(kind, content or b"{}")


def checked_model(kind: type[M], content: bytes) -> M:
    """Return JSON as a model; raise ``RequestError(request_invalid)`` with the first mistake."""
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise invalid(error) from error


def invalid(error: ValidationError) -> RequestError:
    """Return the first of the mistakes as our failure: more would only hide it."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"])) or "body"
    return RequestError(Code.REQUEST_INVALID, printable(f"{place}: {first['msg']}"))
