"""Read lists of references: txt, csv, tsv, jsonl, WARC (each also gzipped), parquet, and standard input.

Lists are streamed, so that one of any length takes the same memory. A line that cannot be used is
yielded as ``MalformedEntry``, and the rest goes on.
"""

import csv
import gzip
import json
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from producer.entries import Entry, ListColumns, MalformedEntry, Reference, checked
from producer.warc import read_warc
from shared.errors import Code, ResourceError, UsageError
from shared.warc.references import is_warc_reference

#: Standard input, read as a txt list.
STDIN = "-"
#: Longest line of a list, in bytes.
_MAX_LINE = 1 << 20
#: What stands for a longer one: no format takes it for a reference.
_TOO_LONG = "\0"
#: Its records are gzipped one by one: whoever reads it unpacks them.
_WARC = ".warc"
_PARQUET = ".parquet"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

if TYPE_CHECKING:
    from _csv import Reader as Table


def is_list(source: str) -> bool:
    """Tell by its name whether a source is a list."""
    is_one = _ending(source) in _READERS and "://" not in source and not is_warc_reference(source)
    return source == STDIN or is_one


def read_list(source: str, columns: ListColumns, stdin: IO[bytes] | None = None) -> Iterator[Entry]:
    """Yield the entries of a list in its order; ``stdin`` is what ``-`` stands for, read from its start.

    Raises ``UsageError`` with ``source_not_found`` or ``column_unknown``, and
    ``ResourceError(source_unreadable)`` where the list cannot be read, or not to its end.
    """
    with _translated(source), _open(source, stdin) as file:
        yield from _READERS[_ending(source)](source, file, columns)


def read_stream(name: str, file: IO[bytes], columns: ListColumns, limit: int) -> Iterator[Entry]:
    """Yield the entries of a list that is open already, and gunzipped; its name's ending tells the format.

    Raises what ``read_list`` raises, and ``UsageError(body_too_large)`` if a format that packs by itself
    unpacks to more bytes than the limit.
    """
    with _translated(name):
        if _ending(name) == _PARQUET:
            yield from _read_parquet(name, file, columns, limit)
        else:
            yield from _READERS[_ending(name)](name, file, columns)


def _ending(source: str) -> str:
    """Return the ending that names the format: a gzipped list's is the one before ``.gz``."""
    if source == STDIN:
        return ".txt"
    stem, ending = os.path.splitext(source.lower())
    inner = os.path.splitext(stem)[1]
    return inner if ending == ".gz" and inner != _PARQUET else ending


def _open(source: str, stdin: IO[bytes] | None) -> AbstractContextManager[IO[bytes]]:
    if source == STDIN and stdin is not None:
        stdin.seek(0)
        return nullcontext(stdin)
    if not stat.S_ISREG(Path(source).stat().st_mode):
        raise OSError("it is no regular file, and a list is read twice: pipe it in, with - as its name")
    if source.lower().endswith(".gz") and _ending(source) != _WARC:
        return cast(IO[bytes], gzip.open(source, "rb"))
    return Path(source).open("rb")


@contextmanager
def _translated(source: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise UsageError(Code.SOURCE_NOT_FOUND, source) from error
    except csv.Error as error:
        detail = f"{source}: it is no table with a line a row; are its line ends LF or CRLF?"
        raise ResourceError(Code.SOURCE_UNREADABLE, detail) from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ResourceError(Code.SOURCE_UNREADABLE, f"{source}: {reason}") from error


def _lines(file: IO[bytes]) -> Iterator[str]:
    """Yield the lines as text; bytes that are not UTF-8 become surrogates, which no reference may hold."""
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


def _read_text(source: str, file: IO[bytes], _columns: ListColumns) -> Iterator[Entry]:
    for number, line in enumerate(_lines(file), 1):
        if line == _TOO_LONG:
            yield _too_long(source, number)
        elif ref := line.strip():
            yield checked(ref, source, number)


def _too_long(source: str, number: int) -> MalformedEntry:
    return MalformedEntry(source, number, f"the line is longer than {_MAX_LINE} bytes")


def _read_csv(source: str, file: IO[bytes], columns: ListColumns) -> Iterator[Entry]:
    return _read_table(source, csv.reader(_lines(file)), columns)


def _read_tsv(source: str, file: IO[bytes], columns: ListColumns) -> Iterator[Entry]:
    return _read_table(source, csv.reader(_lines(file), delimiter="\t"), columns)


def _read_table(source: str, table: "Table", columns: ListColumns) -> Iterator[Entry]:
    csv.field_size_limit(_MAX_LINE)  # else a column of HTML would cost its row
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
    """Let a malformed row of several lines name them all: each may have been meant as a row."""
    if last == first or isinstance(entry, Reference):
        return entry
    reason = f"{entry.reason}; is the closing quote of line {first} missing?"
    return MalformedEntry(entry.source, first, reason, last - first + 1)


def _rows(table: "Table") -> Iterator[tuple[int, int, list[str] | str]]:
    """Yield each row with its first and last line, or what is wrong with it."""
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
    """Return the place of a column; raise ``UsageError(column_unknown)`` if there is not just one."""
    if header.count(column) == 1:
        return header.index(column)
    if column in header:
        raise UsageError(Code.COLUMN_UNKNOWN, f"{source}: it has several columns {column!r}")
    there = ", ".join(repr(name) for name in header) or "none"
    raise UsageError(Code.COLUMN_UNKNOWN, f"{source}: {column!r}; its columns are {there}")


def _read_jsonl(source: str, file: IO[bytes], columns: ListColumns) -> Iterator[Entry]:
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


def _read_parquet(
    source: str, file: IO[bytes], columns: ListColumns, limit: int | None = None
) -> Iterator[Entry]:
    from producer.parquet import read_parquet  # it needs this module

    return read_parquet(source, file, columns, limit)


_READERS: dict[str, Callable[[str, IO[bytes], ListColumns], Iterator[Entry]]] = {
    ".txt": _read_text,
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_jsonl,
    _PARQUET: _read_parquet,
    _WARC: read_warc,
}
