"""The process that unpacks a Parquet file from standard input to JSON lines on standard output.

The first line has the names of all columns. The others have a few rows each: their size in bytes, and the
reference and the user's own id of each row. A list with a sentence instead of a reference says why the cell
holds none, and a string instead of a line why there are no more. Started by ``producer.binary_lists``.
"""

import json
import signal
import sys
from collections.abc import Iterator
from typing import IO, Any

import pyarrow
from pyarrow import compute
from pyarrow.parquet import ParquetFile

from producer.references import SEVERAL
from shared.confined_process import confine, limit_cpu
from shared.errors import UNPRINTABLE
from shared.image_signatures import format_from_signature

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
_IMAGE = "it holds an image, not a reference: save the images as files, or name another column"


def run() -> None:
    """Unpack; the arguments are limits (bytes of memory, CPU seconds), and the names of columns as JSON."""
    confine(int(sys.argv[1]))
    limit_cpu(int(sys.argv[2]))
    try:
        for answer in _read(sys.stdin.buffer, json.loads(sys.argv[3])):
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
            refs, *ids = [_decoded(batch.column(name).slice(start, _STEP)) for name in names]
            size = sum(column.nbytes for column in (refs, *ids))
            yield size, list(zip(_refs(refs), *map(_ids, ids), strict=True))


def _batch(table: Any, names: list[str]) -> int:
    """Return how many rows Arrow reads at a time: each batch of a dictionary has all of it."""
    types = [table.schema_arrow.field(name).type for name in names]
    return _MANY if any(map(pyarrow.types.is_dictionary, types)) else _STEP


def _decoded(column: Any) -> Any:
    return column.dictionary_decode() if pyarrow.types.is_dictionary(column.type) else column


#: What is in a cell of a reference: a text, the reason why it is none, or nothing.
_Ref = str | list[str] | None


def _refs(column: Any) -> list[_Ref]:
    """Return the references; bytes that are not UTF-8 become surrogates, as in text lists."""
    column = _stored(column)
    if pyarrow.types.is_nested(column.type):
        reason = _reason_against(column.type)
        return [reason if is_there else None for is_there in column.is_valid().to_pylist()]
    return [None if value is None else _ref(value) for value in _heads(column)]


def _reason_against(kind: Any) -> _Ref:
    """Return what is wrong with a cell of a nested type; datasets keep images as structs with their bytes."""
    if not pyarrow.types.is_struct(kind):
        return [SEVERAL]
    is_image = any(map(_is_bytes, (kind.field(place).type for place in range(kind.num_fields))))
    return [_IMAGE] if is_image else None


def _is_bytes(kind: Any) -> bool:
    return bool(pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind))


def _ref(value: bytes) -> _Ref:
    text = value.decode("utf-8", "surrogateescape")
    return [_IMAGE] if UNPRINTABLE.search(text) and format_from_signature(value) else text


def _ids(column: Any) -> list[str | None]:
    """Return ids as text: what is nested as JSON, and bytes that are no text as hexadecimal digits."""
    if isinstance(column.type, pyarrow.UuidType):
        return [None if value is None else str(value) for value in column.to_pylist()]
    column = _stored(column)
    if pyarrow.types.is_nested(column.type):
        return [None if value is None else _as_json(value) for value in column.to_pylist()]
    is_text = not pyarrow.types.is_fixed_size_binary(column.type) and not _is_bytes(column.type)
    return [None if value is None else _id(value, is_text) for value in _heads(column)]


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:_ENOUGH]


def _id(value: bytes, is_text: bool) -> str:
    text = value.decode("utf-8", "surrogateescape")
    return value.hex() if not is_text and UNPRINTABLE.search(text) else text


def _stored(column: Any) -> Any:
    return column.storage if isinstance(column.type, pyarrow.BaseExtensionType) else column


def _heads(column: Any) -> list[bytes | None]:
    """Return the first bytes of each value's text, as many as are passed on."""
    if not _is_bytes(column.type):
        column = _as_text(column).cast(pyarrow.binary())
    heads: list[bytes | None] = compute.binary_slice(column, 0, _ENOUGH).to_pylist()
    return heads


def _as_text(column: Any) -> Any:
    if pyarrow.types.is_fixed_size_binary(column.type) or pyarrow.types.is_binary_view(column.type):
        return column
    try:
        return column.cast(pyarrow.string())
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError):
        if pyarrow.types.is_timestamp(column.type):  # of a zone that this machine does not know
            return column.cast(pyarrow.timestamp(column.type.unit, "UTC")).cast(pyarrow.string())
        return pyarrow.array(
            [None if one is None else str(one) for one in column.to_pylist()], pyarrow.string()
        )


if __name__ == "__main__":
    run()
