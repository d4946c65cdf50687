"""Classify one image while the client waits."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from results_api.api_keys import Caller
from results_api.classify import ClassifiedImage, ClientDisconnectedError
from results_api.service import result_models
from results_api.service.admission import body_size, charged, held_bytes, holder_of
from results_api.service.dependencies import RequireClassify, ServicesDep
from results_api.service.error_responses import error_responses
from results_api.service.request_bodies import first_file, json_body, limited, media_type, parsed_form
from results_api.service.responses import ResponseMeta, SuccessResponse, json_response
from results_api.service.services import Services
from shared.classifier.classifier import Prediction
from shared.errors import Code, RequestError, SmartSightError

routes = APIRouter(tags=["classify"])

#: Bytes of a JSON body: it holds a URL.
_MAX_JSON = 64 * 1024
#: nginx's status for a client that disconnected: it appears in the access log only.
_CLIENT_GONE = 499
#: Digits of a score behind the point.
_DECIMALS = 6
_EXAMPLE: dict[str, Any] = {
    "meta": {"type": "success", "code": 200, "model": "lite0@1", "reused": False},
    "data": [
        {"class": "pizza, pizza pie", "wordnet_id": "n07873807", "score": 0.884148},
        {"class": "potpie", "wordnet_id": "n07875152", "score": 0.027061},
    ],
}


class ClassifyUrl(BaseModel):
    """An image on the web."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"url": "https://example.com/a.jpg"}]}
    )
    url: str = Field(min_length=1, max_length=2048)


class ClassifyMeta(ResponseMeta):
    """The model, and whether the labels are those of an image with the same bytes."""

    model: str
    reused: bool


class ClassifyResponse(SuccessResponse[list[result_models.Prediction]]):
    """The best classes of an image, best first."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})
    meta: ClassifyMeta


_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "properties": {"file": {"type": "string", "format": "binary"}},
        "required": ["file"],
    }
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": _FORM,
            "image/*": _BINARY,
            "application/octet-stream": _BINARY,
            "application/json": {"schema": ClassifyUrl.model_json_schema()},
        },
    }
}
_FAILURES = error_responses(
    *(Code.TOO_MANY_BYTES, Code.NOT_AN_IMAGE, Code.UNSUPPORTED_FORMAT, Code.NO_IMAGE, Code.IMAGE_CORRUPT),
    *(Code.IMAGE_TRUNCATED, Code.TOO_MANY_PIXELS, Code.REQUEST_INVALID, Code.URL_NOT_ALLOWED, Code.HTTP_404),
    Code.FORGOTTEN,
    *(Code.QUOTA_EXCEEDED, Code.AT_CAPACITY, Code.DISK_FULL),
)


@routes.post("/v1/classify", response_model=ClassifyResponse, responses=_FAILURES, openapi_extra=_BODY)
async def classify(
    request: Request,
    services: ServicesDep,
    caller: RequireClassify,
    top: Annotated[int, Query(ge=1, le=20, description="How many classes.")] = 5,
) -> Response:
    """Classify one image while you wait.

    Send it as the first file of a form, under any field name; as the body; or as `{"url": ...}` to be
    fetched. The format is detected from its content.
    """
    started = time.monotonic()
    outcome = "gone"
    try:
        services.image_classifier.capacity.check()
        with held_bytes(request, services, caller, _size(request, services.settings.upload_bytes)):
            classified = await _classified(request, services, caller, top)
        outcome = "succeeded"
    except SmartSightError as error:
        outcome = error.code
        raise
    except ClientDisconnectedError:
        return Response(status_code=_CLIENT_GONE)
    finally:
        services.observer.classified(outcome, time.monotonic() - started)
    return json_response(_body(classified, services.image_classifier.model_name))


def _size(request: Request, limit: int) -> int:
    """Return how many bytes the image of a request has at most; a URL is short, but leads to any number."""
    return limit if media_type(request) == "application/json" else body_size(request, limit)


async def _classified(request: Request, services: Services, caller: Caller, top: int) -> ClassifiedImage:
    """Classify the image of a request, or the one that its URL leads to; the quota is charged before."""
    if media_type(request) == "application/json":
        url = (await json_body(request, ClassifyUrl, _MAX_JSON)).url
        async with charged(services, caller, 1, 500):
            with services.fetches.reserve(holder_of(request, caller)):
                content = await services.image_fetcher.fetch(url)
            return await services.image_classifier.classify(content, top, request.is_disconnected)
    content = await _image(request, services.settings.upload_bytes)
    async with charged(services, caller, 1, 500):
        return await services.image_classifier.classify(content, top, request.is_disconnected)


async def _image(request: Request, limit: int) -> bytes:
    """Return the bytes of the image of a request: the first file of a form, or the body."""
    kind = media_type(request)
    if kind == "multipart/form-data":
        async with parsed_form(request, limit, Code.TOO_MANY_BYTES) as form:
            file = first_file(form)
            content = await file.read() if file else b""
    else:
        content = await limited(request, limit, Code.TOO_MANY_BYTES).body()
    if not content:
        raise RequestError(Code.NO_IMAGE, "send it as the first file of a form, or as the body")
    if len(content) > limit:
        raise RequestError(Code.TOO_MANY_BYTES, f"the limit is {limit} bytes")
    return content


def _body(image: ClassifiedImage, model: str) -> dict[str, Any]:
    meta = {"type": "success", "code": 200, "model": model, "reused": image.reused}
    return {"meta": meta, "data": [_entry(prediction) for prediction in image.predictions]}


def _entry(prediction: Prediction) -> dict[str, Any]:
    label, score = prediction.label, round(prediction.score, _DECIMALS)
    return {"class": label.name, "wordnet_id": label.wordnet_id, "score": score}
