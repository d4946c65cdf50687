"""Results as bytes: one encoder a format, for files and for streams alike."""

import io
from typing import TYPE_CHECKING, Any, Protocol

from results_api.cursors import cursors_of
from shared.store.result_columns import Frame
from shared.store.result_frames import schema
from shared.times import TIME_FORM

if TYPE_CHECKING:
    import polars

#: Rows of one Parquet row group; they are also read so many at a time.
ROW_GROUP = 10_000


class Encoder(Protocol):
    """Turns results into bytes; what the three return, one after the other, is a whole file."""

    def begin(self) -> bytes:
        """Return what comes before all rows."""
        ...

    def encode(self, results: Frame) -> bytes:
        """Return these rows, or keep some of them for later."""
        ...

    def end(self) -> bytes:
        """Return what comes after all rows."""
        ...


class JsonLines:
    """A JSON object a line. With ``cursor``, each row has the column ``cursor`` as well."""

    def __init__(self, cursor: bool = False) -> None:
        self._cursor = cursor

    def begin(self) -> bytes:
        """Return nothing."""
        return b""

    def encode(self, results: Frame) -> bytes:
        """Return a line a row."""
        return _written(_with_texts(_with_cursor(results, self._cursor)).write_ndjson)

    def end(self) -> bytes:
        """Return nothing."""
        return b""


class Csv:
    """Comma-separated values (RFC 4180). Predictions are JSON; null is nothing, an empty text is ``""``.

    Texts are unchanged: formulas are not defused for spreadsheets.
    """

    def __init__(self, cursor: bool = False) -> None:
        self._cursor = cursor

    def begin(self) -> bytes:
        """Return the line of names."""
        return (",".join([*schema(), *(["cursor"] if self._cursor else [])]) + "\r\n").encode()

    def encode(self, results: Frame) -> bytes:
        """Return a line a row."""
        texts = _with_texts(_with_cursor(results, self._cursor))
        texts = texts.with_columns(_predictions_as_json(texts))
        return _written(lambda file: texts.write_csv(file, include_header=False, line_terminator="\r\n"))

    def end(self) -> bytes:
        """Return nothing."""
        return b""


class Parquet:
    """A Parquet file, whose rows are written in groups."""

    def __init__(self, cursor: bool = False) -> None:
        import polars as pl
        from pyarrow.parquet import ParquetWriter

        self._cursor = cursor
        self._rows: list[Frame] = []
        self._sent = _Sent()
        nothing = _with_cursor(pl.DataFrame(schema=schema()), cursor)
        self._writer = ParquetWriter(self._sent, nothing.to_arrow().schema)

    def begin(self) -> bytes:
        """Return the first bytes of the file."""
        return self._sent.take()

    def encode(self, results: Frame) -> bytes:
        """Return the groups of rows that are full."""
        self._rows.append(_with_cursor(results, self._cursor))
        if sum(map(len, self._rows)) >= ROW_GROUP:
            self._write_group()
        return self._sent.take()

    def end(self) -> bytes:
        """Return the rest, and the index of the whole file."""
        if self._rows:
            self._write_group()
        self._writer.close()
        return self._sent.take()

    def _write_group(self) -> None:
        import polars as pl

        self._writer.write_table(pl.concat(self._rows).to_arrow())
        self._rows = []


def _with_cursor(results: Frame, wanted: bool) -> Frame:
    return results.with_columns(cursor=cursors_of("index")) if wanted else results


def _with_texts(results: Frame) -> Frame:
    """Return results with times as texts."""
    import polars.selectors as cs

    return results.with_columns(cs.datetime().dt.strftime(TIME_FORM))


def _predictions_as_json(results: Frame) -> "list[polars.Expr]":
    import polars as pl

    lists = [name for name, kind in results.schema.items() if isinstance(kind, pl.List)]
    texts = (
        (name, pl.col(name).list.eval(pl.element().struct.json_encode()).list.join(",")) for name in lists
    )
    return [("[" + text + "]").alias(name) for name, text in texts]


def _written(write: Any) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


class _Sent(io.RawIOBase):
    """A file that is handed on as it is written: it knows how long it is, and keeps nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._length = 0
        self._kept: list[bytes] = []

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._length

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._kept.append(piece)
        self._length += len(piece)
        return len(piece)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        taken = b"".join(self._kept)
        self._kept.clear()
        return taken
