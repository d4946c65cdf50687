"""The report of a job: what it came to and why, for programs and for people."""

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from results_api.access import own_job
from results_api.api_keys import Caller
from results_api.report.page import render
from results_api.report.report import Report, make_report
from results_api.service.dependencies import JobId, RequireRead, ServicesDep
from results_api.service.error_responses import error_responses
from results_api.service.pages.rendering import report_response
from results_api.service.responses import SuccessResponse, json_response, preferred_media_type, success_body
from results_api.service.routes.results_examples import SUMMARY
from results_api.service.services import Services
from shared.errors import Code

routes = APIRouter(tags=["results"])

#: Rows of each list, as the command has them.
_ROWS = 20
_MEDIA_TYPES = {"json": "application/json", "html": "text/html"}
_PAGE: dict[str, Any] = {"schema": {"type": "string"}, "example": "<!doctype html>"}


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
        200: {"content": {"application/json": {"example": SUMMARY}, "text/html": _PAGE}},
        **error_responses(Code.JOB_UNKNOWN, Code.REQUEST_INVALID, Code.NOT_ACCEPTABLE),
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
    async with services.summaries:
        return await run_in_threadpool(_report, services, caller, job_id, media_type)


def _accepted(request: Request) -> str:
    return preferred_media_type(",".join(request.headers.getlist("accept")), list(_MEDIA_TYPES.values()))


def _report(services: Services, caller: Caller, job_id: int, media_type: str) -> Response:
    job = own_job(services.store, caller, job_id)
    summary = services.store.summaries.get(job.id, services.settings.host_delay, _ROWS)
    report = make_report(summary, services.store.models.get(job.model_id))
    if media_type == _MEDIA_TYPES["html"]:
        return report_response(render(report))
    return json_response(success_body(orjson.Fragment(report.as_json())))
