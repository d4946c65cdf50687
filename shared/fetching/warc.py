"""Fetch images from WARC files, without a request."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from shared.errors import Code, ItemError, printable
from shared.fetching.fetcher import Fetched, FetchRequest, file_errors, regular_status
from shared.warc import (
    DamagedError,
    OneStreamError,
    Record,
    UndecodableError,
    WarcReference,
    parse_warc_reference,
    read_record,
)


class WarcFetcher:
    """Reads records of local WARC files, up to a limit of their unpacked size."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    async def fetch(self, request: FetchRequest) -> Fetched:
        """Read a record's headers now, and its content in ``read``, to save memory."""
        reference = parse_warc_reference(request.ref)
        if reference is None:
            raise ItemError(Code.FILE_NOT_FOUND, "not a reference to a WARC record")
        status = await asyncio.to_thread(_status, reference)
        return Fetched(partial(self.read, reference), printable(reference.uri), status)

    def read(self, reference: WarcReference) -> bytes:
        """Return the content of a record, or raise ``ItemError``."""
        with _opened(reference) as record:
            content = bytearray()
            for piece in record.payload():
                content += piece
                if len(content) > self._max_bytes:
                    raise ItemError(Code.TOO_MANY_BYTES, f"the limit is {self._max_bytes}", record.status)
            record.finish()
            return bytes(content)

    async def close(self) -> None:
        """Do nothing: there are no connections."""


def _status(reference: WarcReference) -> int | None:
    with _opened(reference) as record:
        return record.status


@contextmanager
def _opened(reference: WarcReference) -> Iterator[Record]:
    """Give a record while its file is open; translate all errors to ``ItemError``."""
    path = Path(reference.path)
    try:
        with file_errors():
            regular_status(path)
            with path.open("rb") as file:
                yield _expected(reference, read_record(file, reference.offset))
    except (DamagedError, OneStreamError, UndecodableError) as error:
        raise ItemError(Code.FILE_UNREADABLE, str(error)) from error


def _expected(reference: WarcReference, record: Record) -> Record:
    if record.uri != reference.uri:
        raise ItemError(Code.FILE_UNREADABLE, f"the record has another URI, {record.uri}")
    if not record.has_content:
        what = record.kind if record.status is None else f"HTTP {record.status}"
        raise ItemError(
            Code.FILE_UNREADABLE, f"the record is not a successful response: {what}", record.status
        )
    return record
