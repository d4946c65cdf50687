"""Follow a job live, by server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from results_api.api_keys import Caller
from results_api.events import event, heartbeat
from results_api.job_statuses import as_json, tag_of
from results_api.service.failures import documented
from results_api.service.parameters import JobId
from results_api.service.services import RequireRead, Services, ServicesDep
from shared.errors import Code

routes = APIRouter(prefix="/v1/jobs", tags=["jobs"])

#: Seconds between two looks at a job, and until a silent stream shows that it lives.
_INTERVAL, _SILENCE = 1.0, 15.0
_EXAMPLE = 'event: job\nid: "8c1f"\ndata: {"id": 12, "state": "running", "done": 250}\n\n'


@routes.get(
    "/{job_id}/events",
    response_class=StreamingResponse,
    responses=documented(Code.JOB_UNKNOWN, Code.AT_CAPACITY, Code.REQUEST_INVALID)
    | {
        200: {
            "description": "An event `job` whenever something is different, and `over` at the end.",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
        }
    },
)
async def follow_job(job_id: JobId, services: ServicesDep, caller: RequireRead) -> Response:
    """Follow a job: each event holds how it stands, as `GET /v1/jobs/{id}` tells it.

    The stream ends with the job, or with the server: a browser comes again by itself.
    """
    await services.job_statuses.of(caller, job_id)
    services.streams.check()
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        _events(services, caller, job_id), media_type="text/event-stream", headers=headers
    )


async def _events(services: Services, caller: Caller, job_id: int) -> AsyncIterator[bytes]:
    with services.streams.admit():
        told, silent = "", 0.0
        while True:
            status = await services.job_statuses.of(caller, job_id)
            body = as_json(status)
            tag = tag_of(body)
            if tag != told:
                told, silent = tag, 0.0
                yield event("job", body, tag)
            if status.state.is_over:
                yield event("over", body, tag)
                return
            if silent >= _SILENCE:
                silent = 0.0
                yield heartbeat()
            if await _ends_within(services, _INTERVAL):
                return
            silent += _INTERVAL


async def _ends_within(services: Services, seconds: float) -> bool:
    """Wait, and tell whether the server is being stopped."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(services.draining.begun(), seconds)
        return True
    return False
