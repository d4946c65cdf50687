"""A result as its reader sees it: one row an item, with class names instead of numbers."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from shared.store.result_columns import COLUMNS, Found, ResultColumn
from shared.store.search import BEGINNING
from shared.store.store import Filter, Job, RecordedModel, Store
from shared.store.summaries import in_utc
from shared.times import time_text

#: A value for each of ``COLUMNS``, by its name; as JSON has them.
Row = dict[str, Any]

#: Rows read at a time.
_PAGE = 500


@dataclass
class OrderedRows:
    """The rows of a job in the order of its items, each as soon as all before it are there."""

    store: Store
    job_id: int
    model: RecordedModel
    after: int = BEGINNING
    _waiting: bool = False

    def next(self) -> list[Row]:
        """Return the rows that follow those returned before; none if the next item has no result yet."""
        # While one slow item holds up the others, only that one is looked for.
        limit = 1 if self._waiting else _PAGE
        page = self.store.search.page(self.job_id, Filter(), self.after, limit).rows
        ready = [found for place, found in enumerate(page, self.after + 1) if found["index"] == place]
        self.after += len(ready)
        self._waiting = not ready
        return [row_of(found, self.model) for found in ready]


def all_rows(store: Store, job: Job, wanted: Filter) -> Iterator[list[Row]]:
    """Yield the rows of a job that are wanted, in the order of its items, page by page."""
    model, after = store.models.get(job.model_id), BEGINNING
    while True:
        page = store.search.page(job.id, wanted, after, _PAGE)
        yield [row_of(found, model) for found in page.rows]
        if page.after is None:
            return
        after = page.after


def row_of(found: Found, model: RecordedModel) -> Row:
    """Return the row of a result."""
    return {column.name: _value(column, found, model) for column in COLUMNS}


def _value(column: ResultColumn, found: Found, model: RecordedModel) -> Any:
    if column.made:
        return column.made.of_one(found, model)
    value = found[column.name]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return _moment(int(in_utc(value).timestamp()))
    return value


@lru_cache(maxsize=4096)  # many rows end in the same second
def _moment(seconds: int) -> str:
    """Return a time in seconds since 1970 in the one form."""
    return time_text(datetime.fromtimestamp(seconds, UTC))
