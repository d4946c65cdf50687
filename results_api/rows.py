"""A result as its reader sees it: one row an item, with class names instead of numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from shared.errors import message_for
from shared.store.store import Outcome, RecordedModel, Store
from shared.store.summaries import in_utc

COLUMNS = (
    "index",
    "ref",
    "custom_id",
    "state",
    "code",
    "message",
    "predictions",
    "model",
    "width",
    "height",
    "bytes",
    "sha256",
    "reused",
    "host",
    "final_url",
    "http_status",
    "attempts",
    "fetch_ms",
    "label_ms",
    "finished_at",
)
#: Keys are ``COLUMNS``; ``predictions`` is a list of {class, wordnet_id, score}, best first.
Row = dict[str, Any]

#: Rows read at a time.
_PAGE = 500


@dataclass
class OrderedRows:
    """The rows of a job in the order of its items, each as soon as all before it are there."""

    store: Store
    job_id: int
    model: RecordedModel
    after: int = -1
    _waiting: bool = False

    def next(self) -> list[Row]:
        """Return the rows that follow those returned before; none if the next item has no result yet."""
        # While one slow item holds up the others, only that one is looked for.
        page = self.store.results.outcomes(self.job_id, self.after, 1 if self._waiting else _PAGE)
        ready = [outcome for place, outcome in enumerate(page, self.after + 1) if outcome.item.index == place]
        self.after += len(ready)
        self._waiting = not ready
        return [row_of(outcome, self.model) for outcome in ready]


def all_rows(store: Store, job_id: int, model: RecordedModel) -> Iterator[list[Row]]:
    """Yield the rows of those items that have a result, in the order of the items, page by page."""
    after = -1
    while page := store.results.outcomes(job_id, after, _PAGE):
        yield [row_of(outcome, model) for outcome in page]
        after = page[-1].item.index


def row_of(outcome: Outcome, model: RecordedModel) -> Row:
    """Return the row of an item."""
    item, result = outcome.item, outcome.result
    return {
        "index": item.index,
        "ref": item.ref,
        "custom_id": item.custom_id,
        "state": str(result.state),
        "code": None if result.code is None else str(result.code),
        "message": None if result.code is None else message_for(result.code, result.detail),
        "predictions": _predictions(result.class_ids, result.scores, model),
        "model": f"{model.name}@{model.version}",
        "width": result.evidence.width,
        "height": result.evidence.height,
        "bytes": result.evidence.bytes,
        "sha256": result.evidence.sha256,
        "reused": result.reused,
        "host": result.evidence.host,
        "final_url": result.evidence.final_url,
        "http_status": result.evidence.http_status,
        "attempts": result.attempts,
        "fetch_ms": result.evidence.fetch_ms,
        "label_ms": result.evidence.label_ms,
        "finished_at": moment(int(in_utc(result.finished_at).timestamp())),
    }


@lru_cache(maxsize=4096)  # many rows end in the same second
def moment(seconds: int) -> str:
    """Return a time in seconds since 1970 as ISO 8601 has it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _predictions(class_ids: Sequence[int], scores: Sequence[float], model: RecordedModel) -> list[Row]:
    return [
        {"class": model.labels[i][1], "wordnet_id": model.labels[i][0], "score": score}
        for i, score in zip(class_ids, scores, strict=True)
    ]
