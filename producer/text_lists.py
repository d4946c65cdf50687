"""Read lists that are text: txt, csv, tsv and jsonl, line by line.

A line that cannot be used is yielded as ``MalformedEntry``, and reading continues.
"""

import csv
import json
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from producer.references import Entry, ListColumns, MalformedEntry, Reference, checked
from shared.errors import Code, UsageError

if TYPE_CHECKING:
    from _csv import Reader as Table

#: Longest line of a list, in bytes.
_MAX_LINE = 1 << 20
#: Replaces a longer line; no format takes it for a reference.
_TOO_LONG = "\0"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def _lines(file: IO[bytes]) -> Iterator[str]:
    """Yield lines as text; bytes that are not UTF-8 become surrogates, which references may not contain."""
    first = True
    while line := file.readline(_MAX_LINE):
        if first and line.startswith(_UTF16_MARKS):
            raise OSError("it is UTF-16: save it as UTF-8")
        if len(line) == _MAX_LINE and not line.endswith(b"\n"):
            _skip_line(file)
            yield _TOO_LONG
        else:
            yield line.decode("utf-8-sig" if first else "utf-8", "surrogateescape")
        first = False


def _skip_line(file: IO[bytes]) -> None:
    while (rest := file.readline(_MAX_LINE)) and not rest.endswith(b"\n"):
        pass


def read_text(source: str, file: IO[bytes], _columns: ListColumns) -> Iterator[Entry]:
    """Yield a reference for each line that is not blank."""
    for number, line in enumerate(_lines(file), 1):
        if line == _TOO_LONG:
            yield _too_long(source, number)
        elif ref := line.strip():
            yield checked(ref, source, number)


def _too_long(source: str, number: int) -> MalformedEntry:
    return MalformedEntry(source, number, f"the line is longer than {_MAX_LINE} bytes")


def read_csv(source: str, file: IO[bytes], columns: ListColumns) -> Iterator[Entry]:
    """Yield the rows of a comma-separated table; raise ``UsageError(column_unknown)`` or ``csv.Error``."""
    return _read_table(source, csv.reader(_lines(file)), columns)


def read_tsv(source: str, file: IO[bytes], columns: ListColumns) -> Iterator[Entry]:
    """Yield the rows of a tab-separated table; raise ``UsageError(column_unknown)`` or ``csv.Error``."""
    return _read_table(source, csv.reader(_lines(file), delimiter="\t"), columns)


def _read_table(source: str, table: "Table", columns: ListColumns) -> Iterator[Entry]:
    csv.field_size_limit(_MAX_LINE)  # otherwise a column with HTML would cost its row
    header = [name.strip() for name in next(table, [])]
    place = column_place(source, header, columns.ref)
    id_place = None if columns.custom_id is None else column_place(source, header, columns.custom_id)
    for first, last, row in _rows(table):
        if isinstance(row, str):
            entry: Entry = MalformedEntry(source, last, row)
        elif row == [_TOO_LONG]:
            entry = _too_long(source, last)
        elif len(row) == len(header):
            custom_id = None if id_place is None else row[id_place].strip() or None
            entry = checked(row[place].strip(), source, last, custom_id)
        elif row:
            reason = f"{len(row)} columns where the header has {len(header)}"
            entry = MalformedEntry(source, last, reason)
        else:
            continue
        yield _over_lines(entry, first, last)


def _over_lines(entry: Entry, first: int, last: int) -> Entry:
    """Let a malformed row of several lines name all of them: each may have been a row of its own."""
    if last == first or isinstance(entry, Reference):
        return entry
    reason = f"{entry.reason}; is the closing quote of line {first} missing?"
    return MalformedEntry(entry.source, first, reason, last - first + 1)


def _rows(table: "Table") -> Iterator[tuple[int, int, list[str] | str]]:
    """Yield each row with its first and last line number, or what is wrong with it."""
    while True:
        first = table.line_num + 1
        try:
            row: list[str] | str = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            row = str(error)
        yield first, table.line_num, row


def column_place(source: str, header: list[str], column: str) -> int:
    """Return the index of a column; raise ``UsageError(column_unknown)`` unless there is exactly one."""
    if header.count(column) == 1:
        return header.index(column)
    if column in header:
        raise UsageError(Code.COLUMN_UNKNOWN, f"{source}: it has several columns {column!r}")
    there = ", ".join(repr(name) for name in header) or "none"
    raise UsageError(Code.COLUMN_UNKNOWN, f"{source}: {column!r}; its columns are {there}")


def read_jsonl(source: str, file: IO[bytes], columns: ListColumns) -> Iterator[Entry]:
    """Yield a reference for each object of a JSON Lines file."""
    for number, line in enumerate(_lines(file), 1):
        if line == _TOO_LONG:
            yield _too_long(source, number)
        elif line.strip():
            yield _json_entry(source, number, line, columns)


def _json_entry(source: str, number: int, line: str, columns: ListColumns) -> Entry:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return MalformedEntry(source, number, "not JSON")
    if not isinstance(content, dict):
        return MalformedEntry(source, number, "not a JSON object")
    ref = content.get(columns.ref)
    if not isinstance(ref, str):
        return MalformedEntry(source, number, f"no text under {columns.ref!r}")
    custom_id = None if columns.custom_id is None else content.get(columns.custom_id)
    if custom_id is not None and not isinstance(custom_id, str):
        custom_id = json.dumps(custom_id, ensure_ascii=False)
    return checked(ref.strip(), source, number, custom_id)
