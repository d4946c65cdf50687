"""What a job came to: result by result, and summed up."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from results_api.access import own_job
from results_api.api_keys import Caller
from results_api.cursors import encode_cursor
from results_api.encoders import Csv, JsonLines, Parquet
from results_api.exports import stream
from results_api.report.report import Report, make_report
from results_api.rows import row_of
from results_api.service.dependencies import JobId, RequireRead, ServicesDep
from results_api.service.error_responses import error_responses
from results_api.service.responses import (
    MEDIA_TYPES,
    Format,
    SuccessResponse,
    accepted_format,
    json_response,
    page_body,
    success_body,
)
from results_api.service.results_filter import ResultsFilter
from results_api.service.routes.results_examples import PAGE, SUMMARY, ResultsPage
from results_api.service.services import Services
from shared.errors import Code
from shared.store.store import FoundPage, Job, RecordedModel

routes = APIRouter(tags=["results"])

_READING = (
    *(Code.KEY_MISSING, Code.KEY_INVALID, Code.SCOPE_MISSING, Code.JOB_UNKNOWN, Code.REQUEST_INVALID),
    *(Code.TOO_MANY_REQUESTS, Code.DATABASE_UNAVAILABLE),
)
_QUERYING = (Code.CURSOR_INVALID, Code.CLASS_UNKNOWN, Code.HOST_INVALID, Code.NOT_ACCEPTABLE)


class ResultsQuery(ResultsFilter):
    """Which results, and in which form. A parameter of another name is refused."""

    limit: int = Field(100, ge=1, le=1000, description="The most rows of a JSON page; streams have no end.")
    format: Format | None = Field(None, description="The form of the answer; it beats the Accept header.")


_STREAMS: dict[str, Any] = {
    media_type: {"schema": {"type": "string", "format": "binary"}}
    for format, media_type in MEDIA_TYPES.items()
    if format is not Format.JSON
}
_STREAMS[MEDIA_TYPES[Format.CSV]]["example"] = (
    "index,ref,state,code\n0,https://example.com/a.jpg,failed,http_404\n"
)


@routes.get(
    "/v1/jobs/{job_id}/results",
    response_model=ResultsPage,
    responses={
        200: {"content": {"application/json": {"example": PAGE}, **_STREAMS}},
        **error_responses(*_READING, *_QUERYING),
    },
)
def results(
    job_id: JobId,
    query: Annotated[ResultsQuery, Query()],
    request: Request,
    services: ServicesDep,
    caller: RequireRead,
) -> Response:
    """Return the results that a job has so far, in the order of its items.

    JSON is a page of at most `limit` rows. What is looked through for one page has an end: where few results
    meet the filter, a page may hold fewer, or none, and still have a `next_cursor`. It is null when nothing
    follows by now. Unless `complete`, more results are to come, also for items before this page.

    NDJSON, CSV and Parquet are all rows in one stream; the header SmartSight-Complete tells whether the job
    is over. A row's `cursor` goes on behind that row, so that a stream that broke need not be read again; of
    Parquet, what came before a break cannot be read. A stream breaks off, without the end that HTTP wants, if
    its job is deleted meanwhile, or was over and is tried again. Texts are given as strangers wrote them, in
    CSV, too: tell a spreadsheet that they are texts.
    """
    job = own_job(services.store, caller, job_id)
    format = query.format or accepted_format(",".join(request.headers.getlist("accept")))
    model = services.store.models.get(job.model_id)
    wanted, after = query.wanted(model), query.after
    if format is Format.JSON:
        found = services.store.search.page(job.id, wanted, after, query.limit)
        return json_response(_page(found, model, job))
    body = stream(services.store, job, wanted, after, _ENCODERS[format](cursor=True))
    return StreamingResponse(body, 200, _headers(job, format), MEDIA_TYPES[format])


_ENCODERS: dict[Format, type[JsonLines | Csv | Parquet]] = {
    Format.NDJSON: JsonLines,
    Format.CSV: Csv,
    Format.PARQUET: Parquet,
}


def _page(found: FoundPage, model: RecordedModel, job: Job) -> dict[str, Any]:
    rows = [{**row_of(one, model), "cursor": encode_cursor(one["index"])} for one in found.rows]
    body = page_body(rows, None if found.after is None else encode_cursor(found.after))
    body["meta"]["complete"] = job.state.is_over
    return body


def _headers(job: Job, format: Format) -> dict[str, str]:
    return {
        "Content-Disposition": f'attachment; filename="job-{job.id}-results.{format}"',
        "SmartSight-Complete": "true" if job.state.is_over else "false",
    }


class SummaryQuery(BaseModel):
    """How much of a job is told."""

    model_config = ConfigDict(extra="forbid")

    top: int = Field(20, ge=1, le=100, description="Classes and causes that are listed, the commonest first.")


@routes.get(
    "/v1/jobs/{job_id}/summary",
    response_model=SuccessResponse[Report],
    responses={200: {"content": {"application/json": {"example": SUMMARY}}}, **error_responses(*_READING)},
)
async def summary(
    job_id: JobId,
    query: Annotated[SummaryQuery, Query()],
    request: Request,
    services: ServicesDep,
    caller: RequireRead,
) -> Response:
    """Return what a job came to so far: how many images ended how, by class, by code and by host, and why.

    Every result is counted for it, which takes seconds for a million: for how far a job is, ask for the job.
    Lists of hosts have ten rows at most.
    """
    async with services.summaries:
        return await run_in_threadpool(_summed_up, services, caller, job_id, query.top)


def _summed_up(services: Services, caller: Caller, job_id: int, top: int) -> Response:
    job = own_job(services.store, caller, job_id)
    found = services.store.summaries.get(job.id, services.settings.host_delay, top)
    return json_response(success_body(make_report(found, services.store.models.get(job.model_id))))
