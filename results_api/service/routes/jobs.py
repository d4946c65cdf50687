"""Jobs: submit, list, show, follow, cancel, resume, retry, delete."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.background import BackgroundTask

from results_api.access import own_job
from results_api.api_keys import Caller
from results_api.cursors import decode_cursor, encode_cursor
from results_api.job_statuses import as_json, poll_after, read_status
from results_api.service.admission import body_size, charged, held_bytes, holder_of
from results_api.service.dependencies import (
    IfNoneMatch,
    JobId,
    PathPrefix,
    RequireRead,
    RequireSubmit,
    ServicesDep,
)
from results_api.service.error_responses import error_responses
from results_api.service.headers import REPLAYED, WEBHOOK_SECRET, described
from results_api.service.job_models import (
    ESTIMATE,
    JobAcceptedResponse,
    JobCreate,
    JobCreateParams,
    JobCreateQuery,
    JobGiveUpResponse,
    JobListResponse,
    JobResponse,
    JobResume,
    JobRetry,
    JobRetryResponse,
)
from results_api.service.request_bodies import SubmittedList, json_body, submitted_list
from results_api.service.responses import (
    entity_tag_of_json,
    heartbeat,
    json_response,
    matches,
    page_body,
    server_sent_event,
    success_body,
)
from results_api.service.services import Services
from results_api.submissions import job_key
from shared import actions
from shared.errors import Code, RequestError
from shared.items import JobState
from shared.job_status import JobStatus
from shared.list_formats import MEDIA_TYPES
from shared.store.store import Job

routes = APIRouter(prefix="/v1/jobs", tags=["jobs"])

#: Bytes of a JSON body.
_MAX_JSON = 64 * 1024
#: Value of ``Retry-After`` for a new job, in seconds.
_FIRST_POLL = "1"
#: Seconds between two looks at a job that is followed, and until an idle stream sends a heartbeat.
_INTERVAL, _HEARTBEAT = 1.0, 15.0
_EVENT_EXAMPLE = 'event: job\nid: 8c1f\ndata: {"id": 12, "state": "running", "done": 250}\n\n'
_IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="Names this request: sent again with the same key, it finds the same job.",
    ),
]
_WebhookSecret = Annotated[
    str | None,
    Header(
        alias=WEBHOOK_SECRET,
        max_length=200,
        description="Secret that signs the call of `webhook_url`, for a list; made if none is given.",
    ),
]
_LastEventId = Annotated[
    str, Header(alias="Last-Event-ID", description="The `id` of the last event that you have.")
]

_ErrorResponses = dict[int | str, dict[str, Any]]
_CHANGE_ERRORS = error_responses(
    Code.JOB_UNKNOWN, Code.JOB_NOT_READY, Code.REQUEST_INVALID, Code.BODY_TOO_LARGE
)
_DRY_RUN: _ErrorResponses = {
    200: {
        "description": "The estimate of a dry run.",
        "content": {"application/json": {"example": success_body(ESTIMATE)}},
    }
}
_SUBMIT_ERRORS = error_responses(
    *(Code.KEY_TAKEN, Code.BODY_TOO_LARGE, Code.MEDIA_TYPE_UNSUPPORTED, Code.REQUEST_INVALID),
    *(Code.MODEL_UNKNOWN, Code.WEBHOOK_INVALID, Code.NOTHING_TO_LABEL, Code.COLUMN_UNKNOWN),
    *(Code.SOURCE_UNREADABLE, Code.QUOTA_EXCEEDED, Code.AT_CAPACITY, Code.DISK_FULL),
)
_STATUS_HEADERS = described("ETag") | described("Retry-After", required=False)
_CONDITIONAL: _ErrorResponses = {
    200: {"headers": _STATUS_HEADERS},
    304: {"description": "Nothing has changed since `If-None-Match`.", "headers": _STATUS_HEADERS},
}
_ACCEPTED: _ErrorResponses = {
    202: {"headers": described("Location", "Retry-After") | described(REPLAYED, required=False)}
}
_EVENTS: _ErrorResponses = {
    200: {
        "description": "An event `job` with every change, and `over` at the end.",
        "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EVENT_EXAMPLE}},
    },
    204: {"description": "The job is over, and you have its last event: do not reconnect."},
}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with its definitions where they are used: request bodies here are no components."""
    definitions = schema.pop("$defs", {})

    def resolve(part: Any) -> Any:
        if isinstance(part, dict):
            name = str(part.get("$ref", "")).rpartition("/")[2]
            return resolve(definitions[name]) if name else {key: resolve(part[key]) for key in part}
        return [resolve(value) for value in part] if isinstance(part, list) else part

    inlined: dict[str, Any] = resolve(schema)
    return inlined


def _optional_body(model: type[BaseModel]) -> dict[str, Any]:
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": False, "content": content}}


_FILE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_FORM = {"schema": {"type": "object", "properties": {"file": _FILE["schema"]}, "required": ["file"]}}
_LIST_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _inlined(JobCreate.model_json_schema())},
            "multipart/form-data": _FORM,
            **dict.fromkeys(MEDIA_TYPES, _FILE),
        },
    }
}


@routes.post(
    "",
    status_code=202,
    response_model=JobAcceptedResponse,
    responses=_ACCEPTED | _DRY_RUN | _SUBMIT_ERRORS,
    openapi_extra=_LIST_BODY,
)
async def submit(
    request: Request,
    services: ServicesDep,
    caller: RequireSubmit,
    prefix: PathPrefix,
    params: Annotated[JobCreateQuery, Query()],
    key: _IdempotencyKey = None,
    secret: _WebhookSecret = None,
) -> Response:
    """Submit a job.

    Send its URLs as JSON; or a list (text, CSV, TSV or JSON, also packed by gzip, bzip2 or xz; or Parquet) as
    the body or as the first file of a form, with the options in the query or the form. The response is 202 as
    soon as the list is stored. It is then recorded line by line; the job's status has the numbers of the
    lines without a URL. With `dry_run`, nothing is stored: a sample is fetched and labelled, which takes up
    to a few minutes and counts against the key's daily images.
    """
    if params.dry_run:
        # What is refused has fetched nothing.
        async with (
            charged(services, caller, params.sample, 400),
            _list_of(request, services, caller, params, secret) as submitted,
        ):
            estimate = await services.submissions.dry_run(submitted.job_list, params.sample)
        return json_response(success_body(estimate.as_json()))
    await _check_open_jobs(services, caller, key)
    async with _list_of(request, services, caller, params, secret) as submitted:
        job_list, given = submitted.job_list, submitted.webhook
        webhook = services.submissions.check_webhook(given.url, given.secret) if given else None
        job_list = replace(job_list, options=replace(job_list.options, webhook=webhook))
        job, is_new = await asyncio.to_thread(services.submissions.submit, caller, key, job_list)
    status = await services.job_statuses.of(caller, job.id)
    return _accepted(status, is_new, prefix)


async def _check_open_jobs(services: Services, caller: Caller, key: str | None) -> None:
    """Raise ``RequestError(quota_exceeded)`` before a list is read; a known idempotency key is free."""
    if key is None or not await asyncio.to_thread(services.submissions.is_known, caller, key):
        await services.access.check_open_jobs(caller)


@contextlib.asynccontextmanager
async def _list_of(
    request: Request, services: Services, caller: Caller, params: JobCreateParams, secret: str | None
) -> AsyncIterator[SubmittedList]:
    """Give the list of a request, within what its caller may take of this process."""
    limit = services.settings.list_bytes
    turn = partial(services.long_bodies.turn, holder_of(request, caller))
    with held_bytes(request, services, caller, body_size(request, limit)):
        async with submitted_list(request, params, secret, limit, turn) as submitted:
            yield submitted


def _accepted(status: JobStatus, is_new: bool, prefix: str) -> Response:
    body = as_json(status, prefix)
    if status.webhook:
        # Only here; also in the response to a repeated request, whose first response may have been lost.
        body["webhook"]["secret"] = status.webhook.secret
    headers = {"Location": body["links"]["self"], "Retry-After": _FIRST_POLL}
    replayed = {} if is_new else {REPLAYED: "true"}
    return json_response(success_body(body, 202), 202, headers | replayed)


@routes.get(
    "",
    response_model=JobListResponse,
    responses=error_responses(Code.CURSOR_INVALID, Code.REQUEST_INVALID),
)
async def list_jobs(
    services: ServicesDep,
    caller: RequireRead,
    prefix: PathPrefix,
    limit: Annotated[int, Query(ge=1, le=100, description="Jobs of a page.")] = 20,
    cursor: Annotated[
        str | None, Query(max_length=200, description="`next_cursor` of the page before.")
    ] = None,
    idempotency_key: Annotated[
        str | None, Query(max_length=200, description="Only the job that was submitted with this key.")
    ] = None,
) -> Response:
    """List jobs, the newest first; or the job of an idempotency key, if there is one."""
    before = decode_cursor(cursor, 1)[0] if cursor else None

    def read() -> list[JobStatus]:
        if idempotency_key is None:
            # One more than a page, to know whether there is another page.
            return services.job_statuses.newest(caller, before, limit + 1)
        job = services.store.jobs.find(job_key(caller, idempotency_key))
        return [read_status(services.store, job)] if job else []

    found = await asyncio.to_thread(read)
    page = found[:limit]
    next_cursor = encode_cursor(page[-1].id) if len(found) > limit else None
    return json_response(page_body([as_json(status, prefix) for status in page], next_cursor))


@routes.get(
    "/{job_id}",
    response_model=JobResponse,
    responses=error_responses(Code.JOB_UNKNOWN, Code.REQUEST_INVALID) | _CONDITIONAL,
)
async def show_job(
    job_id: JobId,
    services: ServicesDep,
    caller: RequireRead,
    prefix: PathPrefix,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Show the status of a job.

    Poll again after `Retry-After` seconds, with the `ETag` as `If-None-Match`: the response is 304 if nothing
    has changed.
    """
    status = await services.job_statuses.of(caller, job_id)
    body = as_json(status, prefix)
    headers = {"ETag": entity_tag_of_json(body), "Cache-Control": "private, no-cache"} | _retry_after(status)
    if matches(headers["ETag"], if_none_match):
        return Response(status_code=304, headers=headers)
    return json_response(success_body(body), headers=headers)


def _retry_after(status: JobStatus) -> dict[str, str]:
    seconds = poll_after(status)
    return {} if seconds is None else {"Retry-After": str(seconds)}


@routes.post("/{job_id}/cancel", response_model=JobResponse, responses=_CHANGE_ERRORS)
async def cancel_job(
    job_id: JobId, services: ServicesDep, caller: RequireSubmit, prefix: PathPrefix
) -> Response:
    """Cancel a job for good; its results are kept. Cancelling it again changes nothing."""

    def cancel() -> Job:
        actions.cancel(services.store, own_job(services.store, caller, job_id))
        return services.store.jobs.get(job_id)

    job = await asyncio.to_thread(cancel)
    response = await _status_response(services, caller, job_id, prefix)
    if job.state is JobState.CANCELLING:
        response.background = BackgroundTask(actions.cancel_rest, services.store, job)
    return response


@routes.post(
    "/{job_id}/resume",
    response_model=JobResponse,
    responses=_CHANGE_ERRORS,
    openapi_extra=_optional_body(JobResume),
)
async def resume_job(
    job_id: JobId, request: Request, services: ServicesDep, caller: RequireSubmit, prefix: PathPrefix
) -> Response:
    """Resume a paused job, with a new failure budget or none."""
    body = await json_body(request, JobResume, _MAX_JSON, optional=True)

    def resume() -> None:
        actions.resume(services.store, own_job(services.store, caller, job_id), body.max_failure_rate)

    await asyncio.to_thread(resume)
    return await _status_response(services, caller, job_id, prefix)


@routes.post(
    "/{job_id}/retry",
    response_model=JobRetryResponse,
    responses=_CHANGE_ERRORS,
    openapi_extra=_optional_body(JobRetry),
)
async def retry_job(
    job_id: JobId, request: Request, services: ServicesDep, caller: RequireSubmit, prefix: PathPrefix
) -> Response:
    """Retry failures: those with the given codes, or all transient ones."""
    codes = _codes(await json_body(request, JobRetry, _MAX_JSON, optional=True))

    def retry() -> int:
        return actions.retry(services.store, own_job(services.store, caller, job_id), codes)

    retried = await asyncio.to_thread(retry)
    return await _status_response(services, caller, job_id, prefix, retried=retried)


@routes.post("/{job_id}/give-up", response_model=JobGiveUpResponse, responses=_CHANGE_ERRORS)
async def give_up_waiting(
    job_id: JobId, services: ServicesDep, caller: RequireSubmit, prefix: PathPrefix
) -> Response:
    """Give up the images that wait for another attempt: each ends with its last error."""

    def give_up() -> int:
        return actions.give_up(services.store, own_job(services.store, caller, job_id))

    given_up = await asyncio.to_thread(give_up)
    return await _status_response(services, caller, job_id, prefix, given_up=given_up)


@routes.delete("/{job_id}", status_code=204, responses=_CHANGE_ERRORS)
async def delete_job(job_id: JobId, services: ServicesDep, caller: RequireSubmit) -> Response:
    """Delete a job that is over, with its list and its results, for good."""

    def delete() -> Job:
        job = own_job(services.store, caller, job_id)
        actions.delete(services.store, job)
        return job

    job = await asyncio.to_thread(delete)
    return Response(status_code=204, background=BackgroundTask(actions.remove_rest, services.store, job))


async def _status_response(
    services: Services, caller: Caller, job_id: int, prefix: str, **more: object
) -> Response:
    status = await services.job_statuses.of(caller, job_id)
    return json_response(success_body(as_json(status, prefix) | more))


def _codes(body: JobRetry) -> list[Code]:
    known = {str(code): code for code in Code}
    unknown = [code for code in body.codes if code not in known]
    if unknown:
        detail = f"codes: {unknown[0]!r} is unknown"
        raise RequestError(Code.REQUEST_INVALID, detail)
    return [known[code] for code in body.codes]


@routes.get(
    "/{job_id}/events",
    response_class=StreamingResponse,
    responses=error_responses(Code.JOB_UNKNOWN, Code.AT_CAPACITY, Code.REQUEST_INVALID) | _EVENTS,
)
async def follow_job(
    job_id: JobId,
    request: Request,
    services: ServicesDep,
    caller: RequireRead,
    prefix: PathPrefix,
    last_event_id: _LastEventId = "",
) -> Response:
    """Follow a job with server-sent events, each with its status as in `GET /v1/jobs/{id}`.

    The stream ends with the job, or with the server: browsers reconnect by themselves, and are sent what they
    do not have yet. Once they have the last event, the response is 204, and they stop.
    """
    status = await services.job_statuses.of(caller, job_id)
    if status.state.is_over and last_event_id == _over_id(_event_id(as_json(status, prefix))):
        return Response(status_code=204)
    holder = holder_of(request, caller)
    services.streams.check(holder)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    events = _events(services, caller, job_id, prefix, last_event_id, holder)
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


async def _events(
    services: Services, caller: Caller, job_id: int, prefix: str, last_event_id: str, holder: str
) -> AsyncIterator[bytes]:
    with services.streams.reserve(holder):
        sent, idle = last_event_id, 0.0
        while True:
            status = await services.job_statuses.of(caller, job_id)
            body = as_json(status, prefix)
            id_ = _event_id(body)
            if id_ != sent:
                sent, idle = id_, 0.0
                yield server_sent_event("job", body, id_)
            if status.state.is_over:
                yield server_sent_event("over", body, _over_id(id_))
                return
            if idle >= _HEARTBEAT:
                idle = 0.0
                yield heartbeat()
            if await _shuts_down_within(services, _INTERVAL):
                return
            idle += _INTERVAL


def _event_id(body: Any) -> str:
    """Return the id of the event that tells a status: the same status has the same id."""
    return entity_tag_of_json(body).strip('"')


def _over_id(id_: str) -> str:
    """Return the id of the event that follows the last status."""
    return f"{id_}-over"


async def _shuts_down_within(services: Services, seconds: float) -> bool:
    """Wait, and tell whether the server is shutting down."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(services.draining.begun(), seconds)
        return True
    return False
