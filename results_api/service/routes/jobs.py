"""How jobs stand, and what their owners do with them."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from starlette.background import BackgroundTask

from results_api.access import own_job
from results_api.api_keys import Caller
from results_api.cursors import decode_cursor, encode_cursor
from results_api.entity_tags import matches
from results_api.job_statuses import as_json, poll_after, read_status, tag_of
from results_api.service.bodies import optional_model_in
from results_api.service.envelope import page, success
from results_api.service.failures import documented
from results_api.service.job_models import (
    JobAnswer,
    JobPage,
    Resuming,
    RetryAnswer,
    Retrying,
)
from results_api.service.parameters import IfNoneMatch, JobId
from results_api.service.replies import reply
from results_api.service.services import RequireRead, RequireSubmit, ServicesDep
from results_api.submissions import name_of_key
from shared import steering
from shared.errors import Code, RequestError
from shared.job_status import JobStatus
from shared.store.store import Job

routes = APIRouter(prefix="/v1/jobs", tags=["jobs"])

#: Bytes of a JSON body.
_MAX_JSON = 64 * 1024
_UNKNOWN = documented(Code.JOB_UNKNOWN, Code.REQUEST_INVALID)
_STEERING = documented(Code.JOB_UNKNOWN, Code.JOB_NOT_READY, Code.REQUEST_INVALID, Code.BODY_TOO_LARGE)


def _body(kind: type[BaseModel]) -> dict[str, Any]:
    content = {"application/json": {"schema": kind.model_json_schema()}}
    return {"requestBody": {"required": False, "content": content}}


@routes.get("", response_model=JobPage, responses=documented(Code.CURSOR_INVALID, Code.REQUEST_INVALID))
async def list_jobs(
    services: ServicesDep,
    caller: RequireRead,
    limit: Annotated[int, Query(ge=1, le=100, description="Jobs of a page.")] = 20,
    cursor: Annotated[str | None, Query(max_length=200, description="Where to go on.")] = None,
    idempotency_key: Annotated[
        str | None, Query(max_length=200, description="Only the job that was handed in with this key.")
    ] = None,
) -> Response:
    """List jobs, the newest first; or the one that an idempotency key names, if it was taken in."""
    before = decode_cursor(cursor, 1)[0] if cursor else None

    def read() -> list[JobStatus]:
        if idempotency_key is None:
            return services.job_statuses.newest(caller, before, limit)
        job = services.store.jobs.find(name_of_key(caller, idempotency_key))
        return [read_status(services.store, job)] if job else []

    found = await asyncio.to_thread(read)
    more = len(found) == limit and idempotency_key is None
    return reply(page([as_json(one) for one in found], encode_cursor(found[-1].id) if more else None))


@routes.get(
    "/{job_id}",
    response_model=JobAnswer,
    responses=_UNKNOWN | {304: {"description": "Nothing has changed since `If-None-Match`."}},
)
async def show_job(
    job_id: JobId, services: ServicesDep, caller: RequireRead, if_none_match: IfNoneMatch = None
) -> Response:
    """Tell how a job stands.

    Ask again after `Retry-After` seconds, with the `ETag` as `If-None-Match`: 304 says that nothing changed.
    """
    status = await services.job_statuses.of(caller, job_id)
    body = as_json(status)
    headers = {"ETag": tag_of(body), "Cache-Control": "private, no-cache"} | _retry_after(status)
    if matches(headers["ETag"], if_none_match):
        return Response(status_code=304, headers=headers)
    return reply(success(body), headers=headers)


@routes.post("/{job_id}/cancel", response_model=JobAnswer, responses=_STEERING)
async def cancel_job(job_id: JobId, services: ServicesDep, caller: RequireSubmit) -> Response:
    """Stop a job for good; what was done stays. Cancelling again changes nothing."""

    def cancel() -> Job:
        steering.cancel(services.store, own_job(services.store, caller, job_id))
        return services.store.jobs.get(job_id)

    job = await asyncio.to_thread(cancel)
    answer = await _answer(services, caller, job_id)
    answer.background = BackgroundTask(steering.cancel_rest, services.store, job)
    return answer


@routes.post("/{job_id}/resume", response_model=JobAnswer, responses=_STEERING, openapi_extra=_body(Resuming))
async def resume_job(
    job_id: JobId, request: Request, services: ServicesDep, caller: RequireSubmit
) -> Response:
    """Go on with a paused job, under a new failure budget or none."""
    wanted = await optional_model_in(request, Resuming, _MAX_JSON)

    def resume() -> None:
        steering.resume(services.store, own_job(services.store, caller, job_id), wanted.max_failure_rate)

    await asyncio.to_thread(resume)
    return await _answer(services, caller, job_id)


@routes.post(
    "/{job_id}/retry", response_model=RetryAnswer, responses=_STEERING, openapi_extra=_body(Retrying)
)
async def retry_job(
    job_id: JobId, request: Request, services: ServicesDep, caller: RequireSubmit
) -> Response:
    """Try failures again: those with the codes named, or all whose cause may have passed."""
    codes = _codes(await optional_model_in(request, Retrying, _MAX_JSON))

    def retry() -> int:
        return steering.retry(services.store, own_job(services.store, caller, job_id), codes)

    retried = await asyncio.to_thread(retry)
    return await _answer(services, caller, job_id, retried=retried)


@routes.delete("/{job_id}", status_code=204, responses=_STEERING)
async def delete_job(job_id: JobId, services: ServicesDep, caller: RequireSubmit) -> Response:
    """Remove a job that is over, with its list and its results, for good."""

    def delete() -> Job:
        job = own_job(services.store, caller, job_id)
        steering.delete(services.store, job)
        return job

    job = await asyncio.to_thread(delete)
    return Response(status_code=204, background=BackgroundTask(steering.remove_rest, services.store, job))


async def _answer(services: ServicesDep, caller: Caller, job_id: int, **more: object) -> Response:
    return reply(success(as_json(await services.job_statuses.of(caller, job_id)) | more))


def _codes(wanted: Retrying) -> list[Code]:
    known = {str(code): code for code in Code}
    unknown = [code for code in wanted.codes if code not in known]
    if unknown:
        raise RequestError(Code.REQUEST_INVALID, f"codes: {unknown[0]!r} is none; /docs/errors has them all")
    return [known[code] for code in wanted.codes]


def _retry_after(status: JobStatus) -> dict[str, str]:
    seconds = poll_after(status)
    return {} if seconds is None else {"Retry-After": str(seconds)}
