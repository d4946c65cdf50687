"""Hand in a job: with its URLs, or with a list of them."""

import asyncio
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from results_api.api_keys import Caller
from results_api.job_statuses import as_json, links_of
from results_api.service.envelope import success
from results_api.service.failures import documented
from results_api.service.job_examples import ESTIMATE
from results_api.service.job_models import JobAccepted, JobWanted, ListWanted
from results_api.service.lists import LIST_TYPES, handed_in
from results_api.service.replies import reply
from results_api.service.services import RequireSubmit, Services, ServicesDep
from shared.errors import Code

routes = APIRouter(tags=["jobs"])

#: In how many seconds there is something to see of a new job.
_FIRST_LOOK = "1"
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


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with its own definitions put where they are used: it has no place among all others."""
    definitions = schema.pop("$defs", {})

    def put_in(part: Any) -> Any:
        if isinstance(part, dict):
            name = str(part.get("$ref", "")).rpartition("/")[2]
            return put_in(definitions[name]) if name else {key: put_in(value) for key, value in part.items()}
        return [put_in(value) for value in part] if isinstance(part, list) else part

    inlined: dict[str, Any] = put_in(schema)
    return inlined


_FILE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_FORM = {"schema": {"type": "object", "properties": {"file": _FILE["schema"]}, "required": ["file"]}}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _inlined(JobWanted.model_json_schema())},
            "multipart/form-data": _FORM,
            **dict.fromkeys(LIST_TYPES, _FILE),
        },
    }
}
_FAILURES = documented(
    *(Code.KEY_TAKEN, Code.BODY_TOO_LARGE, Code.MEDIA_TYPE_UNSUPPORTED, Code.REQUEST_INVALID),
    *(Code.MODEL_UNKNOWN, Code.WEBHOOK_INVALID, Code.NOTHING_TO_LABEL, Code.COLUMN_UNKNOWN),
    *(Code.SOURCE_UNREADABLE, Code.QUOTA_EXCEEDED, Code.AT_CAPACITY, Code.DISK_FULL),
)

_DRY_RUN: dict[str, Any] = {
    "description": "What a dry run says of the list.",
    "content": {"application/json": {"example": success(ESTIMATE)}},
}
_RESPONSES: dict[int | str, dict[str, Any]] = {200: _DRY_RUN, **_FAILURES}


@routes.post(
    "/v1/jobs", status_code=202, response_model=JobAccepted, responses=_RESPONSES, openapi_extra=_BODY
)
async def submit(
    request: Request,
    services: ServicesDep,
    caller: RequireSubmit,
    said: Annotated[ListWanted, Query()],
    key: _IdempotencyKey = None,
) -> Response:
    """Hand in a job.

    Its URLs come as JSON; or as a list (txt, csv, tsv, jsonl, each also gzipped, or parquet), as the body or
    as the first file of a form, with what else there is to say in the query or the form. As soon as the job
    is stored with all that was handed in, this answers 202; then it is recorded line by line, and what of it
    holds no URL is told by line number with its status. With `dry_run`, nothing is stored: a sample is
    fetched and labelled, which takes up to a few minutes and counts against the key's images of the day.
    """
    await _check_quota(services, caller, said, key)
    async with handed_in(request, said, services.settings.list_bytes) as handed:
        if said.dry_run:
            return reply(success(await services.submissions.try_sample(handed.listed, said.sample)))
        wanted = handed.webhook
        webhook = services.submissions.judge_webhook(wanted.url, wanted.secret) if wanted else None
        listed = replace(handed.listed, options=replace(handed.listed.options, webhook=webhook))
        job, is_new = await asyncio.to_thread(services.submissions.submit, caller, key, listed)
    status = await services.job_statuses.of(caller, job.id)
    body = as_json(status)
    if status.webhook:
        # Told here only; also to whoever asks once more because the first answer was lost.
        body["webhook"]["secret"] = status.webhook.secret
    headers = {"Location": links_of(job.id)["self"], "Retry-After": _FIRST_LOOK}
    return reply(success(body, 202), 202, headers | ({} if is_new else {"Idempotency-Replayed": "true"}))


async def _check_quota(services: Services, caller: Caller, said: ListWanted, key: str | None) -> None:
    """Raise ``RequestError(quota_exceeded)`` before a list is read; a job that is there is no new one."""
    if said.dry_run:
        await services.access.charge(caller, said.sample)
    elif key is None or not await asyncio.to_thread(services.submissions.is_known, caller, key):
        await services.access.check_open_jobs(caller)
