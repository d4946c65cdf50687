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
        values = [batch.column(name).to_pylist() for name in names]
        for ref, *custom_id in zip(*values, strict=True):
            row += 1
            yield _entry(source, row, ref, custom_id[0] if custom_id else None)


def _entry(source: str, row: int, ref: object, custom_id: object) -> Entry:
    if not isinstance(ref, str):
        return Malformed(source, row, "no text where the reference should be")
    return checked(ref.strip(), source, row, None if custom_id is None else str(custom_id))
