"""The pages of jobs: submit, watch, control, and look through results."""

import asyncio
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from results_api.access import own_job
from results_api.api_keys import Caller, Scope
from results_api.classes import phrase_for
from results_api.cursors import decode_cursor, encode_cursor
from results_api.job_statuses import as_json
from results_api.report.page import render as render_report
from results_api.report.report import make_report
from results_api.service.admission import holder_of
from results_api.service.dependencies import JobId, RequireRead, ServicesDep
from results_api.service.error_responses import status_of
from results_api.service.pages.rendering import PageRoute, render, render_part, report_response
from results_api.service.request_bodies import validation_errors
from results_api.service.results_filter import ResultsFilter
from results_api.service.services import Services
from shared.errors import UNPRINTABLE, Code, RequestError, message_for
from shared.items import ItemState, JobState, now
from shared.job_status import PRIORITIES, JobStatus
from shared.store.result_columns import Found
from shared.store.store import RecordedModel, Store
from shared.time_left import in_short, sentences

routes = APIRouter(prefix="/jobs", include_in_schema=False, route_class=PageRoute)

#: Jobs of a page.
_JOBS = 20
#: Results of a page: divisible by the number of columns on most screens.
_TILES = 48
#: Classes of the histogram, and rows of the report's lists.
_CLASSES, _TOP = 8, 20
#: Minimum scores offered in the filter.
_SCORES = ("0.25", "0.5", "0.75", "0.9", "0.95", "0.99")
#: Seconds between two updates of a page, with a job at work and without.
_SOON, _LATER = 2, 15
#: From so many results on, the page says that a report takes long.
_MANY = 100_000
#: References that become links: never a script, nor a file of the reader's machine.
_WEB_URL = re.compile(r"https?://[^\s]+", re.IGNORECASE)


@routes.get("")
async def jobs(
    request: Request,
    services: ServicesDep,
    caller: RequireRead,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Show jobs, the newest first, and the form for a new one."""
    before = decode_cursor(cursor, 1)[0] if cursor else None
    # One more than a page, to know whether there are older ones.
    found = await asyncio.to_thread(services.job_statuses.newest, caller, before, _JOBS + 1)
    shown = found[:_JOBS]
    return render(
        request,
        "jobs.html.jinja",
        jobs=[_job_values(status) for status in shown],
        cursor=cursor,
        older=encode_cursor(shown[-1].id) if len(found) > _JOBS else None,
        every=_LATER if all(status.is_settled for status in shown) else _SOON,
        may_submit=Scope.SUBMIT in caller.scopes,
        priorities=list(PRIORITIES),
    )


@routes.get("/{job_id}")
async def job(job_id: JobId, request: Request, services: ServicesDep, caller: RequireRead) -> Response:
    """Show the status of a job, and the results that the query filters."""
    status = await services.job_statuses.of(caller, job_id)
    grid = await run_in_threadpool(read_grid, services.store, job_id, _query_of(request))
    code = 200 if grid.failure is None else status_of(grid.failure.code)
    return render(request, "job.html.jinja", code, grid=grid, **_status_values(caller, status))


@routes.get("/{job_id}/status")
async def job_status(job_id: JobId, request: Request, services: ServicesDep, caller: RequireRead) -> Response:
    """Show the status of a job, as a fragment of its page."""
    status = await services.job_statuses.of(caller, job_id)
    return render_part(request, "status.html.jinja", **_status_values(caller, status))


@routes.get("/{job_id}/classes")
async def classes(job_id: JobId, request: Request, services: ServicesDep, caller: RequireRead) -> Response:
    """Show the most frequent classes of a job, as a fragment of its page.

    Counting all labels takes a while: the page is loaded without it.
    """
    async with services.summaries.turn(holder_of(request, caller)):
        return await run_in_threadpool(_classes, request, services, caller, job_id)


def _classes(request: Request, services: Services, caller: Caller, job_id: int) -> Response:
    job = own_job(services.store, caller, job_id)
    counts = services.store.summaries.class_counts(job.id, _CLASSES)
    labels = services.store.models.get(job.model_id).labels
    lines = [
        {"name": labels[number][1], "phrase": phrase_for(number, labels), "count": count}
        for number, count in counts.most
    ]
    when = "change end" if job.is_running and not lines else "end"
    return render_part(
        request, "classes.html.jinja", job_id=job.id, lines=lines, counts=counts, when=when, at=now()
    )


@routes.get("/{job_id}/report")
async def report(job_id: JobId, request: Request, services: ServicesDep, caller: RequireRead) -> Response:
    """Show the report of a job, as `smartsight report` writes it."""
    async with services.summaries.turn(holder_of(request, caller)):
        return report_response(await run_in_threadpool(_report, services, caller, job_id))


def _report(services: Services, caller: Caller, job_id: int) -> str:
    job = own_job(services.store, caller, job_id)
    summary = services.store.summaries.get(
        job.id, services.settings.host_delay, _TOP, services.settings.own_host_names
    )
    return render_report(make_report(summary, services.store.models.get(job.model_id)))


def _job_values(status: JobStatus) -> dict[str, Any]:
    """Return a job's status as templates use it; ``took`` is in seconds, None if the job is not over."""
    took = None if status.finished_at is None else (status.finished_at - status.created_at).total_seconds()
    shown = {"took": took, "outcome": status.outcome, "bar": progress_bar(status), "left": _left(status)}
    return as_json(status) | shown


def _left(status: JobStatus) -> str:
    """Return what is left of a running job, in a few words."""
    return in_short(status.time_left, now()) if status.is_running and status.time_left else ""


@dataclass(frozen=True, slots=True)
class BarPart:
    """The part of a progress bar that the images of one state take; lengths in per cent of the bar."""

    state: ItemState
    x: float
    width: float


def progress_bar(status: JobStatus) -> tuple[BarPart, ...]:
    """Return the parts of a job's progress bar, by state; the images that are pending are its free end."""
    parts, begin = [], 0.0
    for state, count in status.ended.items():
        width = 100 * count / max(status.submitted, status.done)
        parts.append(BarPart(state, round(begin, 3), round(width, 3)))
        begin += width
    return tuple(parts)


def _status_values(caller: Caller, status: JobStatus) -> dict[str, object]:
    left = status.time_left
    return {
        "job": _job_values(status) | {"left": ""},  # the sentences say more
        "many": status.done >= _MANY,
        "actions": actions_of(status, caller),
        "transient": sum(count.count for count in status.codes if count.is_transient),
        "sentences": list(sentences(left, now(), status.is_running)) if left else [],
        "every": None if status.is_settled else _SOON,
    }


class JobAction(StrEnum):
    """What can be done with a job."""

    RETRY = "retry"
    GIVE_UP = "give-up"
    RESUME = "resume"
    CANCEL = "cancel"
    DELETE = "delete"


def actions_of(job: JobStatus, caller: Caller) -> tuple[JobAction, ...]:
    """Return what a caller can do with a job in its state; the API checks it again."""
    if Scope.SUBMIT not in caller.scopes:
        return ()
    possible = {
        JobAction.RETRY: job.recorded
        and job.state in (JobState.RUNNING, JobState.PAUSED, JobState.COMPLETED),
        JobAction.GIVE_UP: job.waiting is not None,
        JobAction.RESUME: job.state is JobState.PAUSED,
        JobAction.CANCEL: job.is_running or job.state is JobState.PAUSED,
        JobAction.DELETE: job.state.is_over,
    }
    return tuple(action for action in JobAction if possible[action])


@dataclass(frozen=True, slots=True)
class ResultTile:
    """A result; ``link`` is its reference if that is a web URL, ``picture`` its thumbnail as a data URL.

    ``name`` and ``score`` are those of its best class, ``message`` says why it has none.
    """

    index: int
    ref: str
    custom_id: str | None
    link: str | None
    state: ItemState
    name: str | None
    score: float | None
    message: str | None
    host: str | None
    picture: str | None


@dataclass(frozen=True, slots=True)
class ResultsGrid:
    """A page of results, with its ``query`` and the next page's cursor; or the error of the query."""

    query: Mapping[str, str]
    tiles: tuple[ResultTile, ...] = ()
    cursor: str | None = None
    failure: RequestError | None = None

    @property
    def has_room(self) -> bool:
        """Whether later results may still appear at the end of this page."""
        return self.cursor is None

    @property
    def filtered(self) -> bool:
        """Whether the query filters results."""
        return bool(self.query.keys() - {"cursor"})

    @property
    def scores(self) -> list[str]:
        """Return the minimum scores to choose from, with the query's own."""
        return sorted({*_SCORES, *filter(None, [self.parameter("min_score")])})

    def parameter(self, name: str) -> str:
        """Return a parameter of the query, or an empty string."""
        return self.query.get(name, "")

    def url_query(self, **changes: str | None) -> str:
        """Return the query with some changes, with its question mark."""
        parameters = {**self.query, **changes}
        encoded = urlencode({name: text for name, text in parameters.items() if text})
        return f"?{encoded}" if encoded else ""


def _query_of(request: Request) -> dict[str, str]:
    """Return the query's parameters, without the empty fields of a form."""
    return {name: text for name, text in request.query_params.items() if text.strip()}


def read_grid(store: Store, job_id: int, query: Mapping[str, str]) -> ResultsGrid:
    """Return the results of a job that a query filters."""
    model = store.models.get(store.jobs.get(job_id).model_id)
    try:
        with validation_errors():
            filter_ = ResultsFilter.model_validate(query)
        wanted, after = filter_.wanted(model), filter_.after
    except RequestError as error:
        return ResultsGrid(query, failure=error)
    found = store.search.page(job_id, wanted, after, _TILES)
    thumbnails = _thumbnails(store, found.rows)
    tiles = tuple(tile_of(row, model, thumbnails) for row in found.rows)
    return ResultsGrid(query, tiles, None if found.after is None else encode_cursor(found.after))


def _thumbnails(store: Store, rows: Sequence[Found]) -> Mapping[bytes, bytes]:
    """Return the thumbnails of results, by the SHA-256 of their images."""
    digests = sorted({row["sha256"] for row in rows if row["sha256"]})
    return store.thumbnails.get_many(digests) if digests else {}


def tile_of(row: Found, model: RecordedModel, thumbnails: Mapping[bytes, bytes]) -> ResultTile:
    """Return the tile of a result."""
    ref, code, scores = row["ref"], row["code"], row["scores"]
    return ResultTile(
        index=row["index"],
        ref=ref,
        custom_id=row["custom_id"],
        link=ref if _WEB_URL.fullmatch(ref) and not UNPRINTABLE.search(ref) else None,
        state=ItemState(row["state"]),
        name=model.labels[row["class_ids"][0]][1] if scores else None,
        score=scores[0] if scores else None,
        message=None if code is None else message_for(Code(code), row["detail"]),
        host=row["host"],
        picture=_data_url(thumbnails.get(row["sha256"])),
    )


def _data_url(jpeg: bytes | None) -> str | None:
    """Return a picture in its URL: one request for each would exceed a key's rate limit."""
    return None if jpeg is None else f"data:image/jpeg;base64,{b64encode(jpeg).decode()}"
