"""Read binary lists: WARC and Parquet.

Parquet is decoded in a child process with limited memory: a file of a few hundred bytes can unpack to
gigabytes, in more ways than could be checked beforehand.
"""

import json
from collections.abc import Iterator
from typing import IO, Any

from producer.list_process import Check, answers, no_check
from producer.references import Entry, ListColumns, MalformedEntry, checked, cleaned, listed
from producer.text_lists import column_place
from shared.budgets import ListBudget
from shared.confined_process import PYTHON
from shared.errors import printable
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
#: What a Parquet file of the user's own may cost.
_UNLIMITED = ListBudget(unpacked=1 << 62, lines=1 << 62, seconds=1 << 30)


def read_parquet(
    source: str,
    file: IO[bytes],
    columns: ListColumns,
    budget: ListBudget = _UNLIMITED,
    check: Check = no_check,
) -> Iterator[Entry]:
    """Yield the entries of a Parquet file; a malformed one's line is its row, counted from 1.

    Raises ``UsageError`` with ``column_unknown``, or with ``body_too_large`` or ``list_too_costly`` where it
    exceeds the budget, and ``OSError`` if it is damaged or needs too much memory.
    """
    names = [columns.ref] + ([columns.custom_id] if columns.custom_id else [])
    arguments = (str(_MEMORY), str(budget.seconds), json.dumps(names))
    command = (*PYTHON, "-m", "producer.parquet_rows", *arguments)
    parts = _parts(answers(command, file, source, budget, check))
    there = next(parts)
    for name in names:
        column_place(source, there, name)
    yield from _entries(source, parts, budget)


def _parts(said: Iterator[Any]) -> Iterator[Any]:
    """Yield what ``producer.parquet_rows`` says until it says why there is no more."""
    for answer in said:
        if isinstance(answer, str):
            raise OSError(answer)
        yield answer


def _entries(source: str, parts: Iterator[Any], budget: ListBudget) -> Iterator[Entry]:
    row = size = 0
    for count, rows in parts:
        size += count
        budget.check_unpacked(source, size)
        for row, (ref, *custom_id) in enumerate(rows, row + 1):  # noqa: B020
            if isinstance(ref, str):
                yield listed(ref, source, row, cleaned(custom_id[0] or "") or None if custom_id else None)
            else:
                yield MalformedEntry(source, row, ref[0] if ref else "the reference is not text")
