"""Take in the list of a job, whichever way it comes: as JSON, as a form's file, or as the body itself."""

import asyncio
import json
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO, cast

from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from results_api.service.bodies import counted, first_file, form_of, invalid, media_type, model_in, on_disk
from results_api.service.job_models import JobWanted, ListedUrl, ListWanted, WebhookWanted
from results_api.submissions import Listed
from shared.errors import Code, RequestError, printable

#: Bytes of a JSON body: a hundred thousand URLs.
_MAX_JSON = 16_000_000
#: Bytes of a list that are kept in memory before it goes to disk.
_IN_MEMORY = 1 << 20
#: What lists are called, by the type of the body.
LIST_TYPES = {
    "text/plain": ".txt",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
    "application/vnd.apache.parquet": ".parquet",
}
_FILE_NAME = re.compile(r".*(\.(?:txt|csv|tsv|jsonl)(?:\.gz)?|\.parquet)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class HandedIn:
    """A list that has arrived as a whole, and whom to tell in the end, which is to be judged still."""

    listed: Listed
    webhook: WebhookWanted | None


@asynccontextmanager
async def handed_in(request: Request, said: ListWanted, limit: int) -> AsyncIterator[HandedIn]:
    """Give the list of a request; ``said`` is what its URL says of it, ``limit`` the most bytes of a file.

    Raises ``RequestError`` with ``media_type_unsupported``, ``body_too_large``, ``disk_full`` or
    ``request_invalid``.
    """
    kind = media_type(request)
    if kind == "multipart/form-data":
        async with form_of(request, limit, Code.BODY_TOO_LARGE) as form:
            yield _from_form(form, said)
        return
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as spool:
        file = cast(IO[bytes], spool)
        if kind == "application/json":
            wanted = await model_in(request, JobWanted, _MAX_JSON)
            with on_disk():
                await asyncio.to_thread(file.writelines, _lines(wanted))  # up to a third of a second
                file.seek(0)
            yield HandedIn(Listed("urls.jsonl", file, wanted.options()), wanted.webhook)
        else:
            name = _name(kind, request.headers.get("Content-Encoding", "identity"))
            with on_disk():
                async for piece in counted(request, limit, Code.BODY_TOO_LARGE).stream():
                    file.write(piece)
                file.seek(0)
            yield HandedIn(Listed(name, file, said.options()), said.webhook())


def _lines(wanted: JobWanted) -> Iterator[bytes]:
    for entry in wanted.urls:
        listed = entry if isinstance(entry, ListedUrl) else ListedUrl(url=entry, id=None)
        yield json.dumps({"url": listed.url, "id": listed.id}).encode() + b"\n"


def _name(kind: str, encoding: str) -> str:
    if kind not in LIST_TYPES:
        known = ", ".join(("application/json", "multipart/form-data", *LIST_TYPES))
        raise RequestError(Code.MEDIA_TYPE_UNSUPPORTED, f"{printable(kind) or 'none'}; one of {known} is")
    packed = encoding.strip().lower() == "gzip"
    if encoding.strip().lower() not in ("gzip", "identity") or (packed and LIST_TYPES[kind] == ".parquet"):
        raise RequestError(Code.MEDIA_TYPE_UNSUPPORTED, f"Content-Encoding: {printable(encoding)}")
    return f"list{LIST_TYPES[kind]}{'.gz' if packed else ''}"


def _from_form(form: FormData, said: ListWanted) -> HandedIn:
    file = first_file(form)
    if file is None:
        raise RequestError(Code.REQUEST_INVALID, "the form has no file")
    match = _FILE_NAME.fullmatch(file.filename or "")
    if match is None:
        detail = f"{file.filename!r} ends in none of .txt, .csv, .tsv, .jsonl, these with .gz, and .parquet"
        raise RequestError(Code.MEDIA_TYPE_UNSUPPORTED, detail)
    fields = {name: text for name, text in form.multi_items() if not isinstance(text, UploadFile)}
    try:
        wanted = ListWanted.model_validate(said.model_dump(exclude_unset=True) | fields)
    except ValidationError as error:
        raise invalid(error) from error
    listed = Listed(f"list{match[1].lower()}", file.file, wanted.options())
    return HandedIn(listed, wanted.webhook())
