"""Write rows to a file as JSON Lines, CSV or Parquet, chosen by its ending.

A file appears under its name only when it is complete.
"""

import csv
import glob
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

from results_api.rows import COLUMNS, Row
from shared.errors import Code, ResourceError, UsageError

#: Standard output, as JSON Lines.
STDOUT = "-"
#: Rows of one Parquet row group.
_ROW_GROUP = 8192


class RowWriter(Protocol):
    """Writes rows in one format."""

    def write(self, rows: list[Row]) -> None:
        """Write rows, or keep them for later."""
        ...

    def finish(self) -> None:
        """Write what is still kept; the stream stays open."""
        ...


@contextmanager
def open_output(target: str) -> Iterator[RowWriter]:
    """Give a writer for a file name, or for ``-``.

    Raises ``UsageError(output_unsupported)`` for an unknown ending, and
    ``ResourceError(output_unwritable)`` as soon as the file cannot be written.
    """
    make_writer = _WRITERS[".jsonl"] if target == STDOUT else _writer_for(target)
    with open_stream(target) as stream:
        writer = make_writer(stream)
        try:
            yield writer
        except BaseException:
            # The file is thrown away, but a writer left unfinished would come back to it when it is closed.
            with suppress(Exception):
                writer.finish()
            raise
        writer.finish()


@contextmanager
def open_stream(target: str) -> Iterator[IO[bytes]]:
    """Give a stream of bytes into a file name, whatever its ending, or ``-``.

    Raises ``ResourceError(output_unwritable)`` as soon as the file cannot be written.
    """
    with _translated(target), _open(target) as stream:
        yield stream
        stream.flush()


def check_output(target: str) -> None:
    """Raise ``UsageError(output_unsupported)`` if the ending names no format."""
    if target != STDOUT:
        _writer_for(target)


def _writer_for(target: str) -> Callable[[IO[bytes]], RowWriter]:
    ending = os.path.splitext(target)[1].lower()
    if ending not in _WRITERS:
        known = ", ".join(_WRITERS)
        raise UsageError(Code.OUTPUT_UNSUPPORTED, f"{target}: its ending is none of {known}")
    return _WRITERS[ending]


@contextmanager
def _translated(target: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # whoever reads our output has seen enough: no failure
    except OSError as error:
        reason = error.strerror or str(error)
        raise ResourceError(Code.OUTPUT_UNWRITABLE, f"{target}: {reason}") from error


@contextmanager
def _open(target: str) -> Iterator[IO[bytes]]:
    if target == STDOUT:
        with _standard_output() as stream:
            yield stream
    elif _is_special(Path(target)):
        with Path(target).open("wb") as stream:
            yield stream
    else:
        with _replacing(Path(target)) as stream:
            yield stream


@contextmanager
def _standard_output() -> Iterator[IO[bytes]]:
    try:
        yield sys.stdout.buffer
    except BrokenPipeError:
        raise
    except OSError:
        # What is still buffered would be tried once more, and complained about, when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _is_special(path: Path) -> bool:
    """Tell whether there is a pipe or a device: a file must not take its place."""
    return path.exists() and not path.is_file()


@contextmanager
def _replacing(target: Path) -> Iterator[IO[bytes]]:
    target = Path(os.path.realpath(target))  # a link stays, and what it points to is replaced
    _remove_left_over(target)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            yield stream
        if target.exists():
            shutil.copymode(target, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _remove_left_over(target: Path) -> None:
    """Remove what processes that were killed had written for this target."""
    for part in target.parent.glob(f".{glob.escape(target.name)}.*.part"):
        process = part.name.split(".")[-2]
        if process.isdigit() and not Path("/proc", process).exists():
            part.unlink(missing_ok=True)


class _JsonLines:
    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, rows: list[Row]) -> None:
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        self._stream.write("".join(lines).encode())
        self._stream.flush()

    def finish(self) -> None:
        pass


class _Csv:
    """Predictions are one column, as JSON; so are truth values."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._text = io.TextIOWrapper(stream, "utf-8", newline="", write_through=True)
        self._table = csv.DictWriter(self._text, COLUMNS)
        self._table.writeheader()

    def write(self, rows: list[Row]) -> None:
        for row in rows:
            predictions = json.dumps(row["predictions"], ensure_ascii=False)
            self._table.writerow({**row, "predictions": predictions, "reused": json.dumps(row["reused"])})

    def finish(self) -> None:
        self._text.detach()  # else it would close the stream, which is not ours


class _Parquet:
    def __init__(self, stream: IO[bytes]) -> None:
        import pyarrow
        from pyarrow.parquet import ParquetWriter

        self._rows: list[Row] = []
        self._table: Callable[[list[Row]], Any] = lambda rows: pyarrow.Table.from_pylist(rows, schema)
        schema = parquet_schema(pyarrow)
        self._writer = ParquetWriter(stream, schema)

    def write(self, rows: list[Row]) -> None:
        self._rows += rows
        if len(self._rows) >= _ROW_GROUP:
            self._flush()

    def finish(self) -> None:
        if self._rows:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        self._writer.write_table(self._table(self._rows))
        self._rows = []


def parquet_schema(pyarrow: Any) -> Any:
    """Return what a row is made of, in the words of the library that is handed in."""
    text, number = pyarrow.string(), pyarrow.int64()
    prediction = pyarrow.struct([("class", text), ("wordnet_id", text), ("score", pyarrow.float64())])
    types = dict.fromkeys(COLUMNS, text)
    types |= dict.fromkeys(("index", "width", "height", "bytes", "http_status", "attempts"), number)
    types |= dict.fromkeys(("fetch_ms", "label_ms"), pyarrow.float64())
    types["reused"] = pyarrow.bool_()
    types["predictions"] = pyarrow.list_(prediction)
    return pyarrow.schema(list(types.items()))


_WRITERS: dict[str, Callable[[IO[bytes]], RowWriter]] = {
    ".jsonl": _JsonLines,
    ".csv": _Csv,
    ".parquet": _Parquet,
}
