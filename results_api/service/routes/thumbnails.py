"""What the model saw of an image."""

from typing import Any

from fastapi import APIRouter, Response

from results_api.access import own_job
from results_api.service.dependencies import IfNoneMatch, ItemIndex, JobId, RequireRead, ServicesDep
from results_api.service.error_responses import error_responses
from results_api.service.responses import entity_tag, matches
from shared.errors import Code, RequestError

routes = APIRouter(tags=["results"])

_MEDIA_TYPE = "image/jpeg"
#: The address of a thumbnail stays that of the same image, until the image is forgotten or tried again.
_CACHED = "private, max-age=86400"
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A small JPEG.",
        "content": {_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    },
    304: {"description": "It is the one of `If-None-Match`."},
}


@routes.get(
    "/v1/jobs/{job_id}/results/{index}/thumbnail",
    response_class=Response,
    responses=_ANSWERS | error_responses(Code.JOB_UNKNOWN, Code.THUMBNAIL_MISSING),
)
def thumbnail(
    job_id: JobId,
    index: ItemIndex,
    services: ServicesDep,
    caller: RequireRead,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return what the model saw of an image, its centre as a square, as a small JPEG.

    There is none of an image that no model has looked at, nor of one that was labelled while none were kept.
    """
    job = own_job(services.store, caller, job_id)
    content = services.store.thumbnails.get(job.id, index)
    if content is None:
        raise RequestError(Code.THUMBNAIL_MISSING)
    headers = {"ETag": entity_tag(content), "Cache-Control": _CACHED}
    if matches(headers["ETag"], if_none_match):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=_MEDIA_TYPE)
