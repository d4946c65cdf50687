"""Rows as lines of JSON or CSV, each written by one format string.

An object a row, written by a library, takes three times as long: most of what a line holds never changes, and
most of the rest needs no more than quotation marks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import add

import orjson

from results_api.cursors import encode_cursor
from results_api.rows import COLUMNS, moment
from shared.errors import Code, message_for
from shared.store.found import FoundRow
from shared.store.store import RecordedModel

#: What a row of a stream holds: ``cursor`` is what a stream that broke goes on from, behind this row.
STREAM_COLUMNS = (*COLUMNS, "cursor")
#: Columns that never hold anything that needs quotation marks in CSV, or an escape in JSON.
_WORDS = ("state", "finished_at", "cursor")


@dataclass(frozen=True, slots=True)
class Notation:
    """How a kind of line is written: what it begins with, the line itself, texts, and nothing."""

    head: str
    line: str
    quoted: Callable[[str], str]
    nothing: str
    #: Around the predictions, which are JSON either way.
    bracket: tuple[str, str]
    inside: Callable[[str], str]


def _json_text(text: str) -> str:
    return orjson.dumps(text).decode()


def _csv_text(text: str) -> str:
    """Return a text as RFC 4180 has it, as it is: what a spreadsheet makes of it is not for us to guess."""
    return f'"{_doubled(text)}"'


def _doubled(text: str) -> str:
    return text.replace('"', '""')


def _json_line() -> str:
    fields = (f'"{name}":' + ('"%s"' if name in _WORDS else "%s") for name in STREAM_COLUMNS)
    return "{" + ",".join(fields) + "}\n"


JSON = Notation("", _json_line(), _json_text, "null", ("[", "]"), str)
CSV = Notation(
    ",".join(STREAM_COLUMNS) + "\r\n",
    ",".join(["%s"] * len(STREAM_COLUMNS)) + "\r\n",
    _csv_text,
    "",
    ('"[', ']"'),
    _doubled,
)


class Lines:
    """Writes the rows of one job as lines of one kind."""

    def __init__(self, notation: Notation, model: RecordedModel) -> None:
        self._notation = notation
        self._classes = _Classes(notation, model)
        self._model = notation.quoted(f"{model.name}@{model.version}")
        self._opening, closing = notation.bracket
        self._closing = "}" + closing
        self._no_predictions = self._opening + closing

    def begin(self) -> bytes:
        """See ``Encoder``."""
        return self._notation.head.encode()

    def encode(self, rows: Sequence[FoundRow]) -> bytes:
        """See ``Encoder``."""
        return b"".join(self.each(rows))

    def each(self, rows: Sequence[FoundRow]) -> list[bytes]:
        """Return a line a row."""
        line, values, known = self._notation.line, self._values, _Texts(self._notation.quoted)
        return [(line % values(row, known)).encode() for row in rows]

    def end(self) -> bytes:
        """See ``Encoder``."""
        return b""

    def _values(self, row: FoundRow, known: "_Texts") -> tuple[object, ...]:
        """Return what a line holds, in the order of the columns; ``known`` are texts of lines before."""
        index, ref, custom_id, state, code, detail, class_ids, scores, width, height, size = row[:11]
        sha256, reused, host, final_url, http_status, attempts, fetch_ms, label_ms, finished_at = row[11:]
        quoted, nothing = self._notation.quoted, self._notation.nothing
        return (
            index,
            quoted(ref),
            nothing if custom_id is None else quoted(custom_id),
            state,
            nothing if code is None else known[code],
            nothing if code is None else quoted(message_for(Code(code), detail)),
            self._predictions(class_ids, scores) if len(class_ids) > 2 else self._no_predictions,
            self._model,
            nothing if width is None else width,
            nothing if height is None else height,
            nothing if size is None else size,
            nothing if sha256 is None else f'"{sha256.hex()}"',
            "true" if reused else "false",
            nothing if host is None else known[host],
            nothing if final_url is None else quoted(final_url),
            nothing if http_status is None else http_status,
            attempts,
            nothing if fetch_ms is None else fetch_ms,
            nothing if label_ms is None else label_ms,
            moment(int(finished_at)),
            encode_cursor(index),
        )

    def _predictions(self, class_ids: str, scores: str) -> str:
        """Return predictions as JSON; the scores stay the texts that the database has."""
        classes = map(self._classes.__getitem__, numbers_in(class_ids))
        return self._opening + "},".join(map(add, classes, numbers_in(scores))) + self._closing


class _Texts(dict[str, str]):
    """Texts that occur again and again, as they are written."""

    def __init__(self, quoted: Callable[[str], str]) -> None:
        super().__init__()
        self._quoted = quoted

    def __missing__(self, text: str) -> str:
        written = self[text] = self._quoted(text)
        return written


class _Classes(dict[str, str]):
    """The beginning of a prediction of each class, up to its score, made when it occurs first."""

    def __init__(self, notation: Notation, model: RecordedModel) -> None:
        super().__init__()
        self._notation, self._labels = notation, model.labels

    def __missing__(self, class_id: str) -> str:
        wordnet_id, name = map(_json_text, self._labels[int(class_id)])
        start = self._notation.inside(f'{{"class":{name},"wordnet_id":{wordnet_id},"score":')
        self[class_id] = start
        return start


def numbers_in(text: str) -> list[str]:
    """Return the numbers of a list as a database writes it, with or without spaces, as texts."""
    return text[1:-1].replace(" ", "").split(",")
