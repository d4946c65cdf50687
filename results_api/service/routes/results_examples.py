"""How results look, for the documentation."""

from typing import Any

from pydantic import BaseModel, Field

from results_api.service.envelope import Page, PageMeta
from shared.errors import Code


class Prediction(BaseModel):
    """A class and its score."""

    class_: str = Field(alias="class", description="ImageNet's words for it, or the model's own.")
    wordnet_id: str
    score: float


class ResultRow(BaseModel):
    """What became of one image."""

    index: int = Field(description="The place of the item in its job, from 0.")
    ref: str = Field(description="The image reference, as it was submitted.")
    custom_id: str | None
    state: str = Field(description="succeeded, failed, skipped or cancelled.")
    code: Code | None = Field(description="Why it got no label.")
    message: str | None = Field(description="The same for a person.")
    predictions: list[Prediction] = Field(description="The best classes, best first.")
    model: str
    width: int | None
    height: int | None
    bytes: int | None
    sha256: str | None
    reused: bool = Field(description="Whether the labels are those of another item with the same bytes.")
    host: str | None
    final_url: str | None
    http_status: int | None
    attempts: int
    fetch_ms: float | None
    label_ms: float | None
    finished_at: str
    cursor: str = Field(description="Goes on behind this row.")


class ResultsMeta(PageMeta):
    """What stands beside a page of results."""

    complete: bool = Field(description="Whether the job is over; if not, more results are to come.")


class ResultsPage(Page[ResultRow]):
    """A page of results."""

    meta: ResultsMeta


_ROW: dict[str, Any] = {
    "index": 0,
    "ref": "https://images.example.org/lunch.jpg",
    "custom_id": "a-17",
    "state": "succeeded",
    "code": None,
    "message": None,
    "predictions": [{"class": "pizza, pizza pie", "wordnet_id": "n07873807", "score": 0.884148}],
    "model": "lite0@1",
    "width": 640,
    "height": 480,
    "bytes": 48213,
    "sha256": "5f" * 32,
    "reused": False,
    "host": "images.example.org",
    "final_url": "https://images.example.org/lunch.jpg",
    "http_status": 200,
    "attempts": 1,
    "fetch_ms": 104.98,
    "label_ms": 9.76,
    "finished_at": "2026-11-25T04:20:26+00:00",
    "cursor": "MA",
}
PAGE: dict[str, Any] = {
    "meta": {"type": "success", "code": 200, "next_cursor": "MA", "complete": True},
    "data": [_ROW],
}

_NO_OTHERS = {"count": 0, "contents": 0, "classes": 0}
SUMMARY: dict[str, Any] = {
    "meta": {"type": "success", "code": 200},
    "data": {
        "job": {
            "id": 12,
            "name": "lunches",
            "state": "completed",
            "reason": "",
            "model": "lite0@1",
            "created_at": "2026-11-25T04:20:00Z",
            "finished_at": "2026-11-25T04:20:26Z",
            "reported_at": "2026-11-25T04:30:00Z",
            "submitted": 1,
            "sealed": True,
            "done": 1,
        },
        "sentences": ["Job 12 is over: 1 of 1 images labelled."],
        "states": {"succeeded": 1},
        "codes": [],
        "causes": [],
        "other_causes": _NO_OTHERS,
        "step_seconds": 1,
        "steps": [{"at": "2026-11-25T04:20:26Z", "succeeded": 1, "failed": 0, "skipped": 0}],
        "classes": [{"name": "pizza, pizza pie", "wordnet_id": "n07873807", "count": 1, "contents": 1}],
        "other_classes": _NO_OTHERS,
        "duplicates": {"labelled": 1, "contents": 1, "reused": 0},
        "fetching": {"bytes": 48213, "fetched": 1, "mean_fetch_ms": 104.98},
        "slowest_hosts": [{"host": "images.example.org", "fetched": 1, "fetch_ms": 104.98, "bytes": 48213}],
        "time_left": None,
        "time_left_sentence": None,
        "hosts_left": [],
        "other_hosts_left": _NO_OTHERS,
    },
}
