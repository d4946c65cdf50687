"""The columns of results: each once, for the database, for every format, for the API and for the docs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    REAL,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    false,
)

from shared.errors import Code, message_for

if TYPE_CHECKING:
    import polars

    from shared.store.models import RecordedModel

    #: Many results as a table in memory.
    Frame = polars.DataFrame
    Series = polars.Expr | polars.Series
else:
    Frame = Series = Any

#: What was read of one result, by the names of the tables' columns.
Found = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Made:
    """How a column is made of those that it ``needs``: for one result, and for many at once."""

    needs: tuple[str, ...]
    of_one: "Callable[[Found, RecordedModel], Any]"
    of_many: "Callable[[Frame, RecordedModel], Series]"


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """One column of results.

    ``type`` is what a reader gets; a ``list`` holds predictions. ``stored`` is the column of this name in the
    table of results. Other columns are read from the item, or ``made`` of columns that are.
    """

    name: str
    type: type
    about: str
    example: Any
    nullable: bool = True
    stored: Column[Any] | None = None
    made: Made | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """The columns of the tables that this one is read from."""
        return self.made.needs if self.made else (self.name,)


def _stored(name: str, type: type, about: str, example: Any, kind: Any, **options: Any) -> ResultColumn:
    column = Column(name, kind, **options)
    return ResultColumn(name, type, about, example, bool(column.nullable), column)


def _message(found: Found, _: "RecordedModel") -> str | None:
    return None if found["code"] is None else message_for(Code(found["code"]), found["detail"])


def _messages(_: Frame, __: "RecordedModel") -> Series:
    import polars as pl

    sentences = {code.value: code.sentence for code in Code}
    sentence = pl.col("code").replace_strict(sentences, return_dtype=pl.String)
    detail = pl.when(pl.col("detail") != "").then(" (" + pl.col("detail") + ")").otherwise(pl.lit(""))
    return sentence + detail


def _prediction_list(found: Found, model: "RecordedModel") -> list[dict[str, Any]]:
    return [
        {"class": model.labels[number][1], "wordnet_id": model.labels[number][0], "score": score}
        for number, score in zip(found["class_ids"], found["scores"], strict=True)
    ]


def _prediction_lists(frame: Frame, model: "RecordedModel") -> Series:
    """Make one structure of all predictions, and lists of it that begin where those of the numbers do."""
    import polars as pl
    import pyarrow

    ids, scores = (frame[name].to_arrow() for name in ("class_ids", "scores"))
    numbers = pl.Series(ids.values).cast(pl.UInt32)
    wordnet_ids, names = (
        pl.Series([label[part] for label in model.labels], dtype=pl.String) for part in (0, 1)
    )
    columns = {"class": names.gather(numbers), "wordnet_id": wordnet_ids.gather(numbers)}
    structures = pl.DataFrame({**columns, "score": pl.Series(scores.values)}).to_struct()
    return pl.Series(pyarrow.LargeListArray.from_arrays(ids.offsets, structures.to_arrow()))


def _top_class(found: Found, model: "RecordedModel") -> str | None:
    return None if found["top_class"] is None else model.labels[found["top_class"]][1]


def _top_classes(frame: Frame, model: "RecordedModel") -> Series:
    import polars as pl

    return pl.Series([name for _, name in model.labels], dtype=pl.String).gather(frame["top_class"])


def _model_name(_: Found, model: "RecordedModel") -> str:
    return f"{model.name}@{model.version}"


def _model_names(_: Frame, model: "RecordedModel") -> Series:
    import polars as pl

    return pl.lit(f"{model.name}@{model.version}")


_URL = "https://images.example.org/lunch.jpg"
_PREDICTION = {"class": "pizza, pizza pie", "wordnet_id": "n07873807", "score": 0.884148}

#: In the order in which every format has them.
COLUMNS = (
    _stored("index", int, "Place of the image in its job, from 0.", 0, BigInteger, primary_key=True),
    ResultColumn("ref", str, "Image reference as submitted.", _URL, nullable=False),
    ResultColumn("custom_id", str, "Your own id of the image, from the list.", "a-17"),
    _stored(
        "state", str, "`succeeded`, `failed`, `skipped` or `cancelled`.", "succeeded", Text, nullable=False
    ),
    _stored("code", Code, "Error code: why the image has no label.", None, Text),
    ResultColumn(
        "message",
        str,
        "What the error code means, with details.",
        None,
        made=Made(("code", "detail"), _message, _messages),
    ),
    ResultColumn(
        "predictions",
        list,
        "Best classes, best first: `class`, `wordnet_id` and `score` (0 to 1) of each.",
        [_PREDICTION],
        nullable=False,
        made=Made(("class_ids", "scores"), _prediction_list, _prediction_lists),
    ),
    ResultColumn(
        "top_class",
        str,
        "Name of the best class.",
        "pizza, pizza pie",
        made=Made(("top_class",), _top_class, _top_classes),
    ),
    ResultColumn("top_score", float, "Score of the best class, from 0 to 1.", 0.884148),
    ResultColumn(
        "model",
        str,
        "Name and version of the model.",
        "lite0@1",
        nullable=False,
        made=Made(("model_id",), _model_name, _model_names),
    ),
    _stored("width", int, "Width of the image, in pixels.", 640, Integer),
    _stored("height", int, "Height of the image, in pixels.", 480, Integer),
    _stored("bytes", int, "Size of the image file, in bytes.", 48213, BigInteger),
    _stored("sha256", str, "SHA-256 of the image file, in hex.", "5f" * 32, LargeBinary(32)),
    _stored(
        "reused",
        bool,
        "Whether the labels were taken from another item with the same reference or the same bytes.",
        False,
        Boolean,
        nullable=False,
        server_default=false(),
    ),
    _stored("host", str, "Host that answered, or did not.", "images.example.org", Text),
    _stored("final_url", str, "URL that the image came from, after redirects.", _URL, Text),
    _stored("redirects", int, "Number of redirects to that URL.", 0, SmallInteger),
    _stored("http_status", int, "HTTP status of the last response.", 200, SmallInteger),
    _stored("attempts", int, "How many times the image was tried.", 1, SmallInteger, nullable=False),
    _stored("fetch_ms", float, "Time to fetch the image, in milliseconds.", 104.98, REAL),
    _stored("label_ms", float, "Time to decode and classify the image, in milliseconds.", 9.76, REAL),
    _stored(
        "finished_at",
        datetime,
        "When the image got its result, in UTC.",
        "2026-11-25T04:20:26Z",
        DateTime(timezone=True),
        nullable=False,
    ),
)
#: Their names.
NAMES = tuple(column.name for column in COLUMNS)

_WORDS = {str: "text", int: "integer", float: "real", bool: "boolean", Code: "text"}
_WORDS |= {datetime: "timestamp", list: "list of structures"}


def as_markdown() -> str:
    """Return the page ``docs/result-columns.md``: every column, its type, and what it holds."""
    head = (
        "# Columns of results\n\nWritten by `make docs` from `shared/store/result_columns.py`.\n\n"
        "Every format has these columns, in this order. The API adds `cursor`, to resume after a row.\n"
        "JSON and CSV hold timestamps as ISO 8601 text. CSV holds `predictions` as JSON.\n\n"
    )
    table = "| column | type | may be null | meaning |\n|---|---|---|---|\n"
    rows = (
        f"| `{one.name}` | {_WORDS[one.type]} | {'yes' if one.nullable else 'no'} | {one.about} |\n"
        for one in COLUMNS
    )
    return head + table + "".join(rows)
