"""Rows as a Parquet file, written column by column."""

import io
from collections.abc import Sequence
from typing import Any

from results_api.cursors import encode_cursor
from results_api.exports import parquet_schema
from results_api.rows import moment
from results_api.streams.lines import STREAM_COLUMNS, numbers_in
from shared.errors import Code, message_for
from shared.store.found import FoundRow
from shared.store.store import RecordedModel


class Columns:
    """Writes the rows of one job as a Parquet file; each call gives a row group."""

    def __init__(self, model: RecordedModel) -> None:
        import pyarrow
        from pyarrow.parquet import ParquetWriter

        self._arrow = pyarrow
        self._model = f"{model.name}@{model.version}"
        self._wordnet_ids, self._names = (
            pyarrow.array([label[part] for label in model.labels], pyarrow.string()) for part in (0, 1)
        )
        self._schema = parquet_schema(pyarrow).append(pyarrow.field("cursor", pyarrow.string()))
        self._sent = _Sent()
        self._writer = ParquetWriter(self._sent, self._schema)

    def begin(self) -> bytes:
        """See ``Encoder``."""
        return self._sent.take()

    def encode(self, rows: Sequence[FoundRow]) -> bytes:
        """See ``Encoder``."""
        columns = self._columns(rows)
        arrays = [self._array(field, columns[field.name]) for field in self._schema]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        return self._sent.take()

    def end(self) -> bytes:
        """See ``Encoder``."""
        self._writer.close()
        return self._sent.take()

    def _columns(self, rows: Sequence[FoundRow]) -> dict[str, Any]:
        index, ref, custom_id, state, code, detail, class_ids, scores, *rest = zip(*rows, strict=True)
        width, height, size, sha256, reused, host, final_url, http_status, *last = rest
        attempts, fetch_ms, label_ms, finished_at = last
        columns = (
            *(index, ref, custom_id, state, code, _messages(code, detail)),
            *(self._predictions(class_ids, scores), [self._model] * len(rows)),
            *(width, height, size, [digest and digest.hex() for digest in sha256], reused),
            *(host, final_url, http_status, attempts, fetch_ms, label_ms),
            [moment(int(time)) for time in finished_at],
            [encode_cursor(place) for place in index],
        )
        return dict(zip(STREAM_COLUMNS, columns, strict=True))

    def _array(self, field: Any, column: Any) -> Any:
        return column if field.name == "predictions" else self._arrow.array(column, field.type)

    def _predictions(self, class_ids: Sequence[str], scores: Sequence[str]) -> Any:
        """Return predictions as one array of lists: all ids and scores in a row, and where each begins."""
        arrow, places = self._arrow, [0]
        ids: list[int] = []
        values: list[float] = []
        for some_ids, some_scores in zip(class_ids, scores, strict=True):
            if len(some_ids) > 2:
                ids += map(int, numbers_in(some_ids))
                values += map(float, numbers_in(some_scores))
            places.append(len(ids))
        taken = arrow.array(ids, arrow.int32())
        parts = [self._names.take(taken), self._wordnet_ids.take(taken), arrow.array(values, arrow.float64())]
        kind = self._schema.field("predictions").type
        inside = arrow.StructArray.from_arrays(parts, fields=list(kind.value_type))
        return arrow.ListArray.from_arrays(arrow.array(places, arrow.int32()), inside, type=kind)


def _messages(codes: Sequence[str | None], details: Sequence[str]) -> list[str | None]:
    return [
        None if code is None else message_for(Code(code), detail)
        for code, detail in zip(codes, details, strict=True)
    ]


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
