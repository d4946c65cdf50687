"""Read references from a Parquet file, a batch of rows at a time."""

from collections.abc import Iterator
from typing import IO, Any

import pyarrow
from pyarrow.parquet import ParquetFile

from producer.entries import Columns, Entry, Malformed, checked
from producer.lists import column_place

#: Rows in memory at a time.
_BATCH = 4096


def read_parquet(source: str, file: IO[bytes], columns: Columns) -> Iterator[Entry]:
    """Yield the entries of a Parquet file; a malformed one's line is its row, counted from 1.

    Raises ``UsageError(column_unknown)``, and ``OSError`` where the file is damaged.
    """
    try:
        yield from _read(source, ParquetFile(file), columns)
    except pyarrow.ArrowException as error:
        raise OSError(str(error)) from error


def _read(source: str, table: Any, columns: Columns) -> Iterator[Entry]:
    names = [columns.ref] + ([columns.custom_id] if columns.custom_id else [])
    for name in names:
        column_place(source, table.schema_arrow.names, name)
    row = 0
    for batch in table.iter_batches(_BATCH, columns=names):
        for ref, *custom_id in zip(*(_texts(batch.column(name)) for name in names), strict=True):
            row += 1
            if ref is None:
                yield Malformed(source, row, "no text where the reference should be")
            else:
                yield checked(ref.strip(), source, row, custom_id[0] if custom_id else None)


def _texts(column: Any) -> list[str | None]:
    """Return the values as text; bytes that are not UTF-8 become surrogates, as in the other lists."""
    if pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pyarrow.types.is_nested(column.type):
        return [None] * len(column)
    if not (pyarrow.types.is_binary(column.type) or pyarrow.types.is_large_binary(column.type)):
        column = column.cast(pyarrow.string()).cast(pyarrow.binary())
    return [
        None if value is None else value.decode("utf-8", "surrogateescape") for value in column.to_pylist()
    ]
