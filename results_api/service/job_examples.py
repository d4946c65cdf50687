"""What answers about jobs look like, for the documentation."""

from typing import Any

JOB: dict[str, Any] = {
    "id": 12,
    "name": "spring crawl",
    "state": "running",
    "reason": "",
    "model": "lite0@1",
    "priority": "normal",
    "created_at": "2026-11-25T09:00:00Z",
    "finished_at": None,
    "submitted": 1000,
    "recorded": True,
    "published": 1000,
    "done": 250,
    "counts": {"pending": 750, "succeeded": 240, "failed": 10, "skipped": 0, "cancelled": 0},
    "codes": [
        {
            "code": "http_404",
            "state": "failed",
            "count": 10,
            "message": "The host has nothing at this URL (HTTP 404).",
        }
    ],
    "rate": 41.5,
    "seconds_left": 18.1,
    "max_failure_rate": 0.2,
    "malformed": {"count": 1, "lines": [{"line": 3, "lines": 1, "reason": "no http or https URL"}]},
    "webhook": None,
    "links": {
        "self": "/v1/jobs/12",
        "results": "/v1/jobs/12/results",
        "summary": "/v1/jobs/12/summary",
        "events": "/v1/jobs/12/events",
    },
}


#: What a dry run says; parts are of 1, and the low and high bounds hold with 95 % confidence.
ESTIMATE: dict[str, Any] = {
    "references": 3189,
    "duplicates": 0.001,
    "sampled": 60,
    "success": 0.968,
    "low": 0.802,
    "high": 0.995,
    "causes": [
        {
            "code": "http_404",
            "part": 0.032,
            "message": "The host has nothing at this URL (HTTP 404).",
        }
    ],
    "same_content": 0.0,
    "forbidding": [{"host": "robots.example.org", "code": "robots_disallowed"}],
    "bytes": 927000000,
    "seconds": 780.0,
    "bound_by": "images.example.com",
    "malformed": 0,
}
