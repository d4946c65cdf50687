"""Many results as tables in memory: read in columns, not in rows, and made into what readers get.

The database makes one JSON array of each column, and polars reads these: no Python object is made for a
value, and other threads of the process go on meanwhile. See ``docs/decisions/0011-exports.md``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    Boolean,
    ColumnElement,
    Connection,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    Select,
    Text,
    cast,
    func,
    select,
    type_coerce,
)
from sqlalchemy.types import TypeEngine

from shared.store.models import RecordedModel
from shared.store.result_columns import COLUMNS, Frame

if TYPE_CHECKING:
    import polars


@dataclass(frozen=True, slots=True)
class Columns:
    """What a query found, column by column: a JSON array each, which ``frame`` parses."""

    types: Mapping[str, TypeEngine[Any]]
    texts: Mapping[str, str]
    count: int

    def __len__(self) -> int:
        return self.count

    def index(self, place: int) -> int:
        """Return the index of the result at this place."""
        return int(json.loads(self.texts["index"])[place])

    def head(self, count: int) -> "Columns":
        """Return the first results."""
        return replace(self, count=min(self.count, count))

    def frame(self) -> Frame:
        """Return the columns: binary ones as hex, arrays as lists of numbers, times in whole seconds."""
        import polars as pl

        text = ",".join(f'"{name}":{array}' for name, array in self.texts.items())
        written = pl.Struct({name: pl.List(_written_type(stored)) for name, stored in self.types.items()})
        parsed = pl.Series(["{" + text + "}"]).str.json_decode(written).struct.unnest()
        frame = pl.DataFrame([parsed[name][0].alias(name) for name in self.types]).head(self.count)
        return frame.with_columns(_value_of(name, stored) for name, stored in self.types.items())


def read_columns(connection: Connection, query: Select[Any]) -> Columns:
    """Return the columns of a query, under their names and in its order."""
    rows = query.subquery()
    array_of = _array_of_sqlite if connection.dialect.name == "sqlite" else _array_of_postgres
    # Neither database merges this with the query, whose limit and order it would lose.
    arrays = (func.coalesce(array_of(column), "[]").label(column.name) for column in rows.c)
    found = connection.execute(select(func.count(), *arrays).select_from(rows)).one()
    types = {column.name: column.type for column in rows.c}
    return Columns(types, dict(zip(types, found[1:], strict=True)), found[0])


def _array_of_sqlite(column: ColumnElement[Any]) -> ColumnElement[str]:
    if isinstance(column.type, JSON):
        # Already JSON: to parse it and to write it again would take as long as all the rest.
        return "[" + func.group_concat(type_coerce(column, Text)) + "]"
    if isinstance(column.type, LargeBinary):
        return '["' + func.group_concat(func.hex(column), '","') + '"]'
    value = type_coerce(column, Text) if isinstance(column.type, DateTime) else column
    return func.json_group_array(value, type_=Text)


def _array_of_postgres(column: ColumnElement[Any]) -> ColumnElement[str]:
    value: ColumnElement[Any] = column
    if isinstance(column.type, LargeBinary):
        value = func.encode(column, "hex")
    elif isinstance(column.type, DateTime):
        value = func.timezone("UTC", column)
    elif isinstance(column.type, Boolean):
        value = cast(column, Integer)
    return cast(func.json_agg(value), Text)


def _written_type(stored: TypeEngine[Any]) -> "polars.DataType":
    """Return what a value of a column is in JSON."""
    import polars as pl

    if isinstance(stored, Integer | Boolean):
        return pl.Int64()
    if isinstance(stored, JSON):
        return pl.List(pl.Float64())
    return pl.Float64() if isinstance(stored, Float) else pl.String()


def _value_of(name: str, stored: TypeEngine[Any]) -> "polars.Expr":
    """Return the values of a column, of what they are in JSON."""
    import polars as pl

    written = pl.col(name)
    if isinstance(stored, LargeBinary):
        return pl.when(written != "").then(written.str.to_lowercase())
    if isinstance(stored, DateTime):
        time = written.str.slice(0, 19).str.replace("T", " ", literal=True)
        return time.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", time_zone="UTC")
    return written.cast(pl.Boolean) if isinstance(stored, Boolean) else written


def present(found: Frame, model: RecordedModel) -> Frame:
    """Return what was read of one model's results as readers get it: ``COLUMNS``."""
    import polars as pl

    made = {column.name: column.made.of_many(found, model) for column in COLUMNS if column.made}
    read = (pl.col(column.name) for column in COLUMNS if not column.made)
    return found.select(*read, **made).select(column.name for column in COLUMNS)


def schema() -> "polars.Schema":
    """Return the types of what readers get."""
    import polars as pl

    types: dict[type, Any] = {int: pl.Int64, float: pl.Float64, bool: pl.Boolean}
    prediction = {"class": pl.String, "wordnet_id": pl.String, "score": pl.Float64}
    types |= {datetime: pl.Datetime("us", "UTC"), list: pl.List(pl.Struct(prediction))}
    return pl.Schema({column.name: types.get(column.type, pl.String) for column in COLUMNS})


def frame_of(rows: Sequence[Mapping[str, Any]]) -> Frame:
    """Return rows as JSON has them, whatever else they hold, as readers get them."""
    import polars as pl

    types = schema()
    times = [name for name, kind in types.items() if isinstance(kind, pl.Datetime)]
    columns = {name: [row.get(name) for row in rows] for name in types}
    frame = pl.DataFrame(columns, {**types, **dict.fromkeys(times, pl.String)})
    return frame.with_columns(pl.col(times).str.to_datetime(time_unit="us", time_zone="UTC"))
