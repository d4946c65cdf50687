"""The report and the summary of a job: its results counted, with causes."""

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from results_api.access import own_job
from results_api.api_keys import Caller
from results_api.report.page import render
from results_api.report.report import Report, make_report
from results_api.service.admission import holder_of
from results_api.service.dependencies import JobId, RequireRead, ServicesDep
from results_api.service.error_responses import error_responses
from results_api.service.pages.rendering import report_response
from results_api.service.responses import (
    SuccessResponse,
    example,
    json_response,
    preferred_media_type,
    success_body,
)
from results_api.service.services import Services
from shared.errors import Code

routes = APIRouter(tags=["results"])

#: Rows of each list, as the command has them.
_ROWS = 20
_MEDIA_TYPES = {"json": "application/json", "html": "text/html"}
_PAGE: dict[str, Any] = {"schema": {"type": "string"}, "example": "<!doctype html>"}
_NO_OTHERS = {"count": 0, "contents": 0, "classes": 0}
SUMMARY: dict[str, Any] = {
    "meta": {"type": "success", "code": 200},
    "data": {
        "job": {
            "id": 12,
            "name": "lunches",
            "state": "completed",
            "outcome": {"word": "completed", "tone": "good"},
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


class ReportQuery(BaseModel):
    """The format of a report."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["json", "html"] | None = Field(
        None, description="The format of the response; without it, the Accept header decides."
    )


@routes.get(
    "/v1/jobs/{job_id}/report",
    response_model=SuccessResponse[Report],
    responses={
        200: {"content": {"application/json": {"example": example(SUMMARY)}, "text/html": _PAGE}},
        **error_responses(Code.JOB_UNKNOWN, Code.REQUEST_INVALID, Code.NOT_ACCEPTABLE, Code.AT_CAPACITY),
    },
)
async def show_report(
    job_id: JobId,
    query: Annotated[ReportQuery, Query()],
    request: Request,
    services: ServicesDep,
    caller: RequireRead,
) -> Response:
    """Return the report of a job, as JSON or as a page, as `smartsight report` writes it.

    It counts every result, which takes seconds for a million; for the progress of a job, get the job.
    """
    media_type = _MEDIA_TYPES[query.format] if query.format else _accepted(request)
    async with services.summaries.turn(holder_of(request, caller)):
        return await run_in_threadpool(_report, services, caller, job_id, media_type)


def _accepted(request: Request) -> str:
    return preferred_media_type(",".join(request.headers.getlist("accept")), list(_MEDIA_TYPES.values()))


def _report(services: Services, caller: Caller, job_id: int, media_type: str) -> Response:
    job = own_job(services.store, caller, job_id)
    summary = services.store.summaries.get(
        job.id, services.settings.host_delay, _ROWS, services.settings.own_host_names
    )
    report = make_report(summary, services.store.models.get(job.model_id))
    if media_type == _MEDIA_TYPES["html"]:
        return report_response(render(report))
    return json_response(success_body(orjson.Fragment(report.as_json())))


class SummaryQuery(BaseModel):
    """How long the lists of a summary are."""

    model_config = ConfigDict(extra="forbid")

    top: int = Field(
        20, ge=1, le=100, description="Rows of the lists of classes and causes, the most frequent first."
    )


@routes.get(
    "/v1/jobs/{job_id}/summary",
    response_model=SuccessResponse[Report],
    responses={
        200: {"content": {"application/json": {"example": example(SUMMARY)}}},
        **error_responses(Code.JOB_UNKNOWN, Code.REQUEST_INVALID, Code.AT_CAPACITY),
    },
)
async def summary(
    job_id: JobId,
    query: Annotated[SummaryQuery, Query()],
    request: Request,
    services: ServicesDep,
    caller: RequireRead,
) -> Response:
    """Sum up the results of a job so far, by state, class, code and host.

    This reads every result, which takes seconds per million: for the progress alone, get the job. Lists of
    hosts have ten rows at most.
    """
    async with services.summaries.turn(holder_of(request, caller)):
        return await run_in_threadpool(_summary, services, caller, job_id, query.top)


def _summary(services: Services, caller: Caller, job_id: int, top: int) -> Response:
    job = own_job(services.store, caller, job_id)
    found = services.store.summaries.get(
        job.id, services.settings.host_delay, top, services.settings.own_host_names
    )
    return json_response(success_body(make_report(found, services.store.models.get(job.model_id))))
