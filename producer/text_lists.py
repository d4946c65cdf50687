"""Read lists that are text: txt, csv and tsv, line by line.

A line that cannot be used is yielded as ``MalformedEntry``, and reading continues.
"""

from collections.abc import Iterator
from typing import IO

from producer.references import (
    Entry,
    ListColumns,
    MalformedEntry,
    Reference,
    cleaned,
    is_like_a_reference,
    listed,
)
from producer.tables import BARE_CR, IsReference, Table
from shared.errors import Code, UsageError

#: Longest line of a list, in bytes.
_MAX_LINE = 1 << 20
#: What is wrong with a longer one.
TOO_LONG = f"the line is longer than {_MAX_LINE} bytes"
#: What else lists are by their first bytes, whatever their names say.
_OTHERS = {
    **dict.fromkeys((b"\xff\xfe", b"\xfe\xff"), "UTF-16: save it as UTF-8"),
    **dict.fromkeys(
        (b"PK\x03\x04", b"\xd0\xcf\x11\xe0"), "a spreadsheet or an archive, not text: save it as .csv"
    ),
    b"PAR1": "a Parquet file: name it .parquet",
    b"WARC/": "a WARC file: name it .warc",
    b"\x1f\x8b": "packed by gzip: name it .gz",
    b"BZh": "packed by bzip2: name it .bz2",
    b"\xfd7zXZ\x00": "packed by xz: name it .xz",
    b"\x28\xb5\x2f\xfd": "packed by zstd: unpack it",
}
#: What is wrong with a line of text that has such a character in it.
_ODDITIES = {"\t": "it has tabs; a table is named .tsv, and has a header", "\r": BARE_CR}
#: Endings of tables, by what separates their columns.
_ENDINGS = {",": ".csv", "\t": ".tsv"}


def lines_of(file: IO[bytes]) -> Iterator[str | None]:
    """Yield lines as text, None for one that is too long; raise ``OSError`` if they are no text.

    Bytes that are not UTF-8 become surrogates, which references may not contain.
    """
    first = True
    while line := file.readline(_MAX_LINE):
        if first:
            check_is_text(line)
        if len(line) == _MAX_LINE and not line.endswith(b"\n"):
            _skip_line(file)
            yield None
        else:
            yield line.decode("utf-8-sig" if first else "utf-8", "surrogateescape")
        first = False


def check_is_text(head: bytes) -> None:
    """Raise ``OSError`` if a list is something else, by its first bytes."""
    for magic, what in _OTHERS.items():
        if head.startswith(magic):
            raise OSError(f"it is {what}")


def _skip_line(file: IO[bytes]) -> None:
    while (rest := file.readline(_MAX_LINE)) and not rest.endswith(b"\n"):
        pass


def read_text(source: str, file: IO[bytes], _columns: ListColumns) -> Iterator[Entry]:
    """Yield a reference for each line that is not blank."""
    for number, line in enumerate(lines_of(file), 1):
        if line is None:
            yield MalformedEntry(source, number, TOO_LONG)
        elif ref := cleaned(line):
            oddity = next((what for character, what in _ODDITIES.items() if character in ref), None)
            yield MalformedEntry(source, number, oddity) if oddity else listed(ref, source, number)


def read_csv(source: str, file: IO[bytes], columns: ListColumns) -> Iterator[Entry]:
    """Yield the rows of a comma-separated table; raise ``UsageError(column_unknown)`` or ``OSError``."""
    return _read_table(source, file, ",", columns)


def read_tsv(source: str, file: IO[bytes], columns: ListColumns) -> Iterator[Entry]:
    """Yield the rows of a tab-separated table; raise ``UsageError(column_unknown)`` or ``OSError``."""
    return _read_table(source, file, "\t", columns)


def _read_table(source: str, file: IO[bytes], delimiter: str, columns: ListColumns) -> Iterator[Entry]:
    table = Table(lines_of(file), delimiter)
    fields = _header(table, columns.ref, delimiter)
    header = [cleaned(name) for name in fields]
    place = _column_place(source, header, columns.ref, delimiter)
    id_column = columns.custom_id
    id_place = None if id_column is None else _column_place(source, header, id_column, delimiter)
    space = " " if fields[place].startswith(" ") else ""  # what this table has after its separators

    for first, last, row in table.rows(len(header), _is_after(space), TOO_LONG):
        if isinstance(row, str):
            entry: Entry = MalformedEntry(source, last, row)
        elif len(row) == len(header):
            custom_id = None if id_place is None else cleaned(row[id_place]) or None
            entry = listed(row[place], source, last, custom_id)
        else:
            entry = MalformedEntry(source, last, f"{len(row)} columns where the header has {len(header)}")
        yield _over_lines(entry, first, last)


def _is_after(space: str) -> IsReference:
    return lambda field: is_like_a_reference(field.removeprefix(space))


def _header(table: Table, column: str, delimiter: str) -> list[str]:
    """Return the fields of the first line that is not blank; raise ``OSError`` if it cannot be read.

    Excel's line before it, which names the separator, is passed over where it names the right one.
    """

    def is_name_or_reference(field: str) -> bool:
        return cleaned(field) == column or is_like_a_reference(field)

    for _, _, row in table.rows(1, is_name_or_reference, TOO_LONG):
        if isinstance(row, str):
            raise OSError(row)
        if delimiter.join(row) != f"sep={delimiter}":
            return row
    return []


def _column_place(source: str, header: list[str], column: str, delimiter: str) -> int:
    """Return the index of a column; raise ``UsageError(column_unknown)``, with a hint if there is one."""
    hint = None if column in header else _hint(header, column, delimiter)
    if hint:
        raise UsageError(Code.COLUMN_UNKNOWN, f"{source}: {column!r}; {hint}")
    return column_place(source, header, column)


def _hint(header: list[str], column: str, delimiter: str) -> str | None:
    """Return what is likely to be wrong with a header without a column."""
    if any(map(is_like_a_reference, header)):
        return "its first line seems to be a row: add a header; or name it .txt, if a line is a reference"
    line = delimiter.join(header)
    for other in ";\t,|":
        names = [cleaned(name).strip('"') for name in line.split(other)]
        if other != delimiter and len(names) > 1 and (column in names or len(header) == 1):
            right = f"name it {_ENDINGS[other]}" if other in _ENDINGS else "save it with commas or tabs"
            return f"its columns seem to be separated by {other!r}: {right}"
    return None


def _over_lines(entry: Entry, first: int, last: int) -> Entry:
    """Let a malformed row of several lines name all of them: each may have been a row of its own."""
    if last == first or isinstance(entry, Reference):
        return entry
    reason = f"{entry.reason}; is the closing quote of line {first} missing?"
    return MalformedEntry(entry.source, first, reason, last - first + 1)


def column_place(source: str, header: list[str], column: str) -> int:
    """Return the index of a column; raise ``UsageError(column_unknown)`` unless there is exactly one."""
    if header.count(column) == 1:
        return header.index(column)
    if column in header:
        raise UsageError(Code.COLUMN_UNKNOWN, f"{source}: it has several columns {column!r}")
    there = ", ".join(repr(name) for name in header) or "none"
    raise UsageError(Code.COLUMN_UNKNOWN, f"{source}: {column!r}; its columns are {there}")
