"""The results of a job: pages, streams, thumbnails."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from results_api.access import own_job
from results_api.cursors import encode_cursor
from results_api.encoders import Csv, JsonLines, Parquet
from results_api.exports import stream
from results_api.rows import row_of
from results_api.service.dependencies import IfNoneMatch, ItemIndex, JobId, RequireRead, ServicesDep
from results_api.service.error_responses import error_responses
from results_api.service.headers import COMPLETE, described
from results_api.service.responses import (
    MEDIA_TYPES,
    Format,
    accepted_format,
    entity_tag,
    example,
    json_response,
    matches,
    page_body,
)
from results_api.service.result_models import PAGE, ResultsPage
from results_api.service.results_filter import ResultsFilter
from shared.errors import Code, RequestError
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
    format: Format | None = Field(None, description="Format of the response; overrides the Accept header.")


_STREAMS: dict[str, Any] = {
    media_type: {"schema": {"type": "string", "format": "binary"}}
    for format, media_type in MEDIA_TYPES.items()
    if format is not Format.JSON
}
_STREAMED = described(COMPLETE, "Content-Disposition", "Content-Encoding", required=False)
_STREAMS[MEDIA_TYPES[Format.CSV]]["example"] = (
    "index,ref,state,code\n0,https://example.com/a.jpg,failed,http_404\n"
)


@routes.get(
    "/v1/jobs/{job_id}/results",
    response_model=ResultsPage,
    responses={
        200: {"content": {"application/json": {"example": example(PAGE)}, **_STREAMS}, "headers": _STREAMED},
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
    """Return the results of a job so far, in the order of its items.

    JSON is a page of at most `limit` rows. The rows searched for one page are limited: where few results
    match the filter, a page may have fewer rows, or none, and still a `next_cursor`. It is null on the last
    page. Unless `complete`, more results will come, also for items before this page.

    NDJSON, CSV and Parquet are all rows in one stream; the header `SmartSight-Complete` says whether the job
    is over. Continue an interrupted stream with the `cursor` of its last row; an interrupted Parquet file
    cannot be read. The stream is cut off if the job is deleted meanwhile, or was over and is retried. Texts
    are not altered for spreadsheets, in CSV either: import their columns as text.
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
        COMPLETE: "true" if job.state.is_over else "false",
    }


_JPEG = "image/jpeg"
#: A thumbnail changes only if its image is forgotten or retried.
_CACHED = "private, max-age=86400"
_THUMBNAIL: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A small JPEG.",
        "headers": described("ETag"),
        "content": {_JPEG: {"schema": {"type": "string", "format": "binary"}}},
    },
    304: {"description": "It has not changed since `If-None-Match`.", "headers": described("ETag")},
}


@routes.get(
    "/v1/jobs/{job_id}/results/{index}/thumbnail",
    response_class=Response,
    responses=_THUMBNAIL | error_responses(Code.JOB_UNKNOWN, Code.THUMBNAIL_MISSING),
)
def thumbnail(
    job_id: JobId,
    index: ItemIndex,
    services: ServicesDep,
    caller: RequireRead,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return the part of an image that the model saw, its central square, as a small JPEG.

    Images without labels have none, nor do those labelled while thumbnails were turned off.
    """
    job = own_job(services.store, caller, job_id)
    content = services.store.thumbnails.get(job.id, index)
    if content is None:
        raise RequestError(Code.THUMBNAIL_MISSING)
    headers = {"ETag": entity_tag(content), "Cache-Control": _CACHED}
    if matches(headers["ETag"], if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=_JPEG)
