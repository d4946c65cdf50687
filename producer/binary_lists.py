"""Read lists that are not text: WARC and Parquet; and unpack gzipped uploads.

Parquet is decoded in a child process with limited memory: a file of a few hundred bytes can stand for
gigabytes, in more places than could be checked beforehand.
"""

import json
import subprocess
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from producer.references import Entry, ListColumns, MalformedEntry, checked
from producer.text_lists import column_place
from shared.errors import Code, UsageError, printable
from shared.image_signatures import format_from_signature
from shared.sandbox import PYTHON, cause_of_death, start_sandboxed
from shared.warc import (
    DamagedError,
    OneStreamError,
    Record,
    UndecodableError,
    WarcReference,
    read_records,
)

#: Pages that the signatures know, too: crawls are full of them, and nobody means them.
_DOCUMENTS = ("PDF", "EPS")


def read_warc(source: str, file: IO[bytes], _columns: ListColumns) -> Iterator[Entry]:
    """Yield the images in a WARC file in its order.

    What follows damage cannot be found: it is one malformed entry. A file that is of no use at all raises
    ``OSError``, as an unreadable one does.
    """
    empty = True
    try:
        for entry in _read(source, file):
            empty = False
            if entry:
                yield entry
        if empty:
            raise OSError("it is empty")
    except OneStreamError as error:
        detail = "it is gzipped as a whole, not record by record; `warcio recompress OLD NEW` makes it usable"
        raise OSError(detail) from error
    except DamagedError as damage:
        if damage.offset == 0:
            raise OSError(f"{damage}; is it a WARC file?") from damage
        yield MalformedEntry(_place(source, damage.offset), None, f"{damage}; nothing after it can be read")


def _read(source: str, file: IO[bytes]) -> Iterator[Entry | None]:
    """Yield an entry for each whole record that holds an image, and None for each of the others."""
    for record in read_records(file):
        held = record.has_content and _is_image(record)
        record.finish()
        ref = str(WarcReference(source, record.offset, record.uri))
        yield checked(ref, _place(source, record.offset)) if held else None


def _is_image(record: Record) -> bool:
    """Tell whether it is an image, or was meant to be one: then its result says what is wrong with it."""
    return record.media_type.lower().startswith("image/") or _announced(record) not in (None, *_DOCUMENTS)


def _announced(record: Record) -> str | None:
    try:
        return format_from_signature(next(record.payload(), b""))
    except UndecodableError:
        return None


def _place(source: str, offset: int) -> str:
    return printable(f"{source}, byte {offset}")


#: Bytes of address space; Python and its libraries take half of them.
_MEMORY = 768 << 20
#: Longest answer, in bytes: more than the longest texts of a few rows take as JSON.
_MAX_ANSWER = 16 << 20


def read_parquet(
    source: str, file: IO[bytes], columns: ListColumns, limit: int | None = None
) -> Iterator[Entry]:
    """Yield the entries of a Parquet file; a malformed one's line is its row, counted from 1.

    Raises ``UsageError`` with ``column_unknown``, or with ``body_too_large`` if it unpacks to more bytes than
    the limit, and ``OSError`` where it is damaged, or takes too much memory.
    """
    names = [columns.ref] + ([columns.custom_id] if columns.custom_id else [])
    command = (*PYTHON, "-m", "producer.parquet_rows", str(_MEMORY), json.dumps(names))
    with start_sandboxed(command, file) as process:
        try:
            answers = _answers(process)
            there = next(answers)
            for name in names:
                column_place(source, there, name)
            yield from _entries(source, answers, limit)
        finally:
            process.kill()


def _answers(process: "subprocess.Popen[bytes]") -> Iterator[Any]:
    """Yield what ``producer.parquet_rows`` says, to its end."""
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
            if ref is None:
                yield MalformedEntry(source, row, "no text where the reference should be")
            else:
                yield checked(ref.strip(), source, row, custom_id[0] if custom_id else None)


#: Bytes that are unpacked at a time.
_STEP = 1 << 20
#: zlib's word for the gzip format (https://zlib.net/manual.html#Advanced, inflateInit2).
_GZIP = 16 + zlib.MAX_WBITS


@contextmanager
def spooled(pieces: Iterable[bytes]) -> Iterator[IO[bytes]]:
    """Give a list as a file that vanishes: formats want to look here and there in it."""
    with tempfile.TemporaryFile() as spool:
        spool.writelines(pieces)
        spool.seek(0)
        yield spool


def plain_name(name: str) -> str:
    """Return what a list is called when it is unpacked."""
    return name.removesuffix(".gz")


def unpacked(name: str, pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Yield a list as it is, or what is packed in it if its name ends in ``.gz``.

    Raises ``UsageError`` with ``body_too_large`` if it is longer than the limit, or with
    ``source_unreadable`` if it is no proper gzip file.
    """
    size = 0
    for piece in _gunzipped(name, pieces) if name.endswith(".gz") else pieces:
        size += len(piece)
        if size > limit:
            raise too_large(name, limit)
        yield piece


def too_large(name: str, limit: int) -> UsageError:
    """Return the failure of a list that unpacks to more than a limit."""
    return UsageError(Code.BODY_TOO_LARGE, f"{name}: more than {limit} bytes when it is unpacked")


def _gunzipped(name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(_GZIP)
    try:
        for piece in pieces:
            rest = piece
            while rest:
                if member.eof:  # gzip files may be put one behind the other
                    member = zlib.decompressobj(_GZIP)
                yield member.decompress(rest, _STEP)
                rest = member.unconsumed_tail or member.unused_data
    except zlib.error as error:
        raise UsageError(Code.SOURCE_UNREADABLE, f"{name}: {error}") from error
    if not member.eof:
        raise UsageError(Code.SOURCE_UNREADABLE, f"{name}: it breaks off before its end")
