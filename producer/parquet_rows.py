"""The process that unpacks a Parquet file from standard input to JSON lines on standard output.

The first line has the names of all columns. The others have a few rows each: their size in bytes, and the
texts in the requested columns. A string instead says why there are no more. Started by
``producer.binary_lists``.
"""

import json
import signal
import sys
from collections.abc import Iterator
from typing import IO, Any

import pyarrow
from pyarrow import compute
from pyarrow.parquet import ParquetFile

from shared.confined_process import confine

#: Bytes read at a time; without it, a whole column chunk would be.
_PIECE = 1 << 20
#: Rows decoded at a time: each may refer to the same long text.
_STEP = 64
#: Rows read at a time while they only refer to texts in a dictionary.
_MANY = 4096
#: Bytes of a text that are passed on: enough for a reference that is one character too long.
_ENOUGH = 1 << 15
#: CPU seconds that a batch may take; the signal of this timer ends the process.
_CPU_LIMIT = 60


def run() -> None:
    """Unpack; the arguments are the memory limit in bytes, and the names of columns as JSON."""
    confine(int(sys.argv[1]))
    try:
        for answer in _read(sys.stdin.buffer, json.loads(sys.argv[2])):
            _say(answer)
    except MemoryError:
        _say("unpacking it needs more memory than allowed")
    except Exception as error:  # Arrow raises all kinds of errors on damaged files
        _say(str(error)[:_ENOUGH] or type(error).__name__)


def _say(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _read(file: IO[bytes], names: list[str]) -> Iterator[Any]:
    """Yield the names of all columns, then the size and texts of a few rows at a time."""
    signal.setitimer(signal.ITIMER_PROF, _CPU_LIMIT)
    table = ParquetFile(file, buffer_size=_PIECE, pre_buffer=False)
    yield table.schema_arrow.names
    for batch in table.iter_batches(_batch(table, names), columns=names, use_threads=False):
        signal.setitimer(signal.ITIMER_PROF, _CPU_LIMIT)
        for start in range(0, len(batch), _STEP):
            columns = [_decoded(batch.column(name).slice(start, _STEP)) for name in names]
            size = sum(column.nbytes for column in columns)
            yield size, list(zip(*map(_texts, columns), strict=True))


def _batch(table: Any, names: list[str]) -> int:
    """Return how many rows Arrow reads at a time: each batch of a dictionary has all of it."""
    types = [table.schema_arrow.field(name).type for name in names]
    return _MANY if any(map(pyarrow.types.is_dictionary, types)) else _STEP


def _decoded(column: Any) -> Any:
    return column.dictionary_decode() if pyarrow.types.is_dictionary(column.type) else column


def _texts(column: Any) -> list[str | None]:
    """Return the values as text; bytes that are not UTF-8 become surrogates, as in text lists."""
    if pyarrow.types.is_nested(column.type):
        return [None] * len(column)
    if not (pyarrow.types.is_binary(column.type) or pyarrow.types.is_large_binary(column.type)):
        column = column.cast(pyarrow.string()).cast(pyarrow.binary())
    return [
        None if value is None else value.decode("utf-8", "surrogateescape")
        for value in compute.binary_slice(column, 0, _ENOUGH).to_pylist()
    ]


if __name__ == "__main__":
    run()
