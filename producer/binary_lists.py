"""Read binary lists (WARC and Parquet), and unpack gzipped uploads.

Parquet is decoded in a child process with limited memory: a file of a few hundred bytes can unpack to
gigabytes, in more ways than could be checked beforehand.
"""

import json
import subprocess
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from producer.references import Entry, ListColumns, MalformedEntry, checked, cleaned, listed
from producer.text_lists import column_place
from shared.confined_process import PYTHON, cause_of_death, start_confined
from shared.errors import Code, UsageError, printable
from shared.image_signatures import format_from_signature
from shared.warc import (
    DamagedError,
    OneStreamError,
    Record,
    UndecodableError,
    WarcReference,
    next_record,
    past_member,
)

#: Recognized formats that are not images to label: crawls are full of them.
_DOCUMENTS = ("PDF", "EPS")


def read_warc(source: str, file: IO[bytes], _columns: ListColumns) -> Iterator[Entry]:
    """Yield the images in a WARC file, in order.

    A damaged record is a malformed entry; nothing after it can be read, unless it is in a gzip member that is
    complete. A file without any usable record raises ``OSError``, like an unreadable file.
    """
    first: DamagedError | None = None
    is_usable = False
    try:
        for found in _read(source, file):
            if isinstance(found, DamagedError):
                first = first or found
                yield MalformedEntry(_place(source, found.offset), None, str(found))
                continue
            is_usable = True
            if found:
                yield found
    except OneStreamError as error:
        detail = "it is gzipped as a whole, not record by record; convert it with `warcio recompress OLD NEW`"
        raise OSError(detail) from error
    except DamagedError as damage:
        first = first or damage
        if is_usable:
            reason = f"{damage}; nothing after it can be read"
            yield MalformedEntry(_place(source, damage.offset), None, reason)
    if not is_usable:
        raise OSError(f"{first}; is it a WARC file?" if first else "it is empty")


def _read(source: str, file: IO[bytes]) -> Iterator[Entry | DamagedError | None]:
    """Yield an entry for each complete record with an image, what is damaged, and None for other records."""
    end = offset = 0
    while True:
        try:
            record = next_record(file, offset)
            if record is None:
                return
            held = record.has_content and _is_image(record)
            end = record.finish()
        except DamagedError as damage:
            following = past_member(file, damage.offset)
            if following is None:
                raise
            end = following
            yield damage
        else:
            ref = str(WarcReference(source, record.offset, record.uri))
            yield checked(ref, _place(source, record.offset)) if held else None
        offset = end


def _is_image(record: Record) -> bool:
    """Tell whether a record is an image, or was meant to be one; its result then says what is wrong."""
    return record.media_type.lower().startswith("image/") or _announced(record) not in (None, *_DOCUMENTS)


def _announced(record: Record) -> str | None:
    try:
        return format_from_signature(next(record.payload(), b""))
    except UndecodableError:
        return None


def _place(source: str, offset: int) -> str:
    return printable(f"{source}, byte {offset}")


#: Bytes of address space; Python and its libraries take half.
_MEMORY = 768 << 20
#: Longest line from the child, in bytes: more than the longest texts of a few rows need as JSON.
_MAX_ANSWER = 16 << 20


def read_parquet(
    source: str, file: IO[bytes], columns: ListColumns, limit: int | None = None
) -> Iterator[Entry]:
    """Yield the entries of a Parquet file; a malformed one's line is its row, counted from 1.

    Raises ``UsageError`` with ``column_unknown``, or with ``body_too_large`` if it unpacks to more bytes than
    the limit, and ``OSError`` if it is damaged or needs too much memory.
    """
    names = [columns.ref] + ([columns.custom_id] if columns.custom_id else [])
    command = (*PYTHON, "-m", "producer.parquet_rows", str(_MEMORY), json.dumps(names))
    with start_confined(command, file) as process:
        try:
            answers = _answers(process)
            there = next(answers)
            for name in names:
                column_place(source, there, name)
            yield from _entries(source, answers, limit)
        finally:
            process.kill()


def _answers(process: "subprocess.Popen[bytes]") -> Iterator[Any]:
    """Yield the lines of ``producer.parquet_rows``, to the end."""
    assert process.stdout
    while (line := process.stdout.readline(_MAX_ANSWER)).endswith(b"\n"):
        answer = json.loads(line)
        if isinstance(answer, str):
            raise OSError(answer)
        yield answer
    process.stdout.close()
    if status := process.wait():
        raise OSError(f"the process that unpacks it ended: {cause_of_death(status)}")


def _entries(source: str, answers: Iterator[Any], limit: int | None) -> Iterator[Entry]:
    row = size = 0
    for count, rows in answers:
        size += count
        if limit is not None and size > limit:
            raise too_large(source, limit)
        for row, (ref, *custom_id) in enumerate(rows, row + 1):  # noqa: B020
            if isinstance(ref, str):
                yield listed(ref, source, row, cleaned(custom_id[0] or "") or None if custom_id else None)
            else:
                yield MalformedEntry(source, row, ref[0] if ref else "the reference is not text")


#: Bytes unpacked at a time.
_STEP = 1 << 20
#: zlib's number for the gzip format (https://zlib.net/manual.html#Advanced, inflateInit2).
_GZIP = 16 + zlib.MAX_WBITS


@contextmanager
def spooled(pieces: Iterable[bytes]) -> Iterator[IO[bytes]]:
    """Give a list as a temporary file, for formats that need random access."""
    with tempfile.TemporaryFile() as spool:
        spool.writelines(pieces)
        spool.seek(0)
        yield spool


def plain_name(name: str) -> str:
    """Return the name of a list without ``.gz``."""
    return name.removesuffix(".gz")


def unpacked(name: str, pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Yield a list, unpacked if its name ends in ``.gz``.

    Raises ``UsageError`` with ``body_too_large`` if it is longer than the limit, or with
    ``source_unreadable`` if it is not a valid gzip file.
    """
    size = 0
    for piece in _gunzipped(name, pieces) if name.endswith(".gz") else pieces:
        size += len(piece)
        if size > limit:
            raise too_large(name, limit)
        yield piece


def too_large(name: str, limit: int) -> UsageError:
    """Return the error for a list that unpacks to more than a limit."""
    return UsageError(Code.BODY_TOO_LARGE, f"{name}: more than {limit} bytes unpacked")


def _gunzipped(name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(_GZIP)
    try:
        for piece in pieces:
            rest = piece
            while rest:
                if member.eof:  # gzip files may be concatenated
                    member = zlib.decompressobj(_GZIP)
                yield member.decompress(rest, _STEP)
                rest = member.unconsumed_tail or member.unused_data
    except zlib.error as error:
        raise UsageError(Code.SOURCE_UNREADABLE, f"{name}: {error}") from error
    if not member.eof:
        raise UsageError(Code.SOURCE_UNREADABLE, f"{name}: it ends too early")
