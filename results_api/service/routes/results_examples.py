"""How results look, for the documentation."""

from typing import Any

from pydantic import Field

from results_api.service.responses import PageMeta, PageResponse
from results_api.service.result_models import ITEM_RESULT, ItemResult


class ResultRow(ItemResult):
    """What became of one image of a job."""

    cursor: str = Field(description="Goes on behind this row.")


class ResultsMeta(PageMeta):
    """What stands beside a page of results."""

    complete: bool = Field(description="Whether the job is over; if not, more results are to come.")


class ResultsPage(PageResponse[ResultRow]):
    """A page of results."""

    meta: ResultsMeta


PAGE: dict[str, Any] = {
    "meta": {"type": "success", "code": 200, "next_cursor": "MA", "complete": True},
    "data": [{**ITEM_RESULT, "cursor": "MA"}],
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
            "recorded": True,
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
