"""The pages on which jobs are handed in, watched and looked through."""

from collections.abc import Sequence
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse

from results_api.api_keys import Caller, Scope
from results_api.classes import phrase_for
from results_api.cursors import encode_cursor
from results_api.desk.steps import seconds_taken, steps_open, worth_retrying
from results_api.job_statuses import as_json
from results_api.service.error_responses import status_of
from results_api.service.pages.grid import Grid
from results_api.service.pages.rendering import render, render_part
from shared.job_status import PRIORITIES, JobStatus
from shared.store.store import ClassCounts, RecordedModel

#: The report brings its styles along, and has neither scripts nor anything from elsewhere.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: Seconds between two looks at jobs of which one is being worked on, and of which none is.
_SOON, _LATER = 2, 15
#: From so many results on, a report takes long enough to be asked about.
_MANY = 100_000


def jobs_page(
    request: Request, caller: Caller, statuses: Sequence[JobStatus], cursor: str | None, more: bool
) -> Response:
    """Return the page that lists jobs and takes new ones."""
    moving = any(not status.is_settled for status in statuses)
    return render(
        request,
        "jobs.html.jinja",
        jobs=[_told(status) for status in statuses],
        cursor=cursor,
        older=encode_cursor(statuses[-1].id) if more else None,
        every=_SOON if moving else _LATER,
        may_submit=Scope.SUBMIT in caller.scopes,
        priorities=list(PRIORITIES),
    )


def job_page(request: Request, caller: Caller, status: JobStatus, grid: Grid) -> Response:
    """Return the page of a job, with some of its results."""
    code = 200 if grid.failure is None else status_of(grid.failure.code)
    return render(request, "job.html.jinja", code, grid=grid, **_words_of(caller, status))


def standing_part(request: Request, caller: Caller, status: JobStatus) -> Response:
    """Return how a job stands, as its page shows it."""
    return render_part(request, "standing.html.jinja", **_words_of(caller, status))


def classes_part(request: Request, job_id: int, counts: ClassCounts, model: RecordedModel) -> Response:
    """Return of which classes a job's images are, as its page shows it."""
    lines = [
        {"name": model.labels[number][1], "asked": phrase_for(number, model.labels), "count": count}
        for number, count in counts.most
    ]
    return render_part(request, "classes.html.jinja", job_id=job_id, lines=lines, counts=counts)


def report_page(body: str) -> Response:
    """Return a job's report, with the policy that it needs."""
    return HTMLResponse(body, headers={"Content-Security-Policy": REPORT_POLICY, "Cache-Control": "no-store"})


def _told(status: JobStatus) -> dict[str, Any]:
    return as_json(status) | {"took": seconds_taken(status)}


def _words_of(caller: Caller, status: JobStatus) -> dict[str, object]:
    told = _told(status)
    return {
        "job": told,
        "many": told["done"] >= _MANY,
        "steps": steps_open(status, caller),
        "again": worth_retrying(status),
        "every": None if status.is_settled else _SOON,
    }
