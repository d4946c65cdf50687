"""Say at once what is in a picture."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from results_api.classify import ClassifiedImage, ClientDisconnectedError
from results_api.service import result_models
from results_api.service.bodies import counted, first_file, form_of, media_type, model_in
from results_api.service.envelope import Meta, Success
from results_api.service.failures import documented
from results_api.service.replies import reply
from results_api.service.services import RequireClassify, ServicesDep
from shared.classifier.classifier import Prediction
from shared.errors import Code, RequestError, SmartSightError

routes = APIRouter(tags=["classify"])

#: Bytes of a JSON body: it holds a URL.
_MAX_JSON = 64 * 1024
#: What nginx says of whoever went away before the answer; nobody sees it but our log.
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


class Link(BaseModel):
    """An image on the web."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"url": "https://example.com/a.jpg"}]}
    )
    url: str = Field(min_length=1, max_length=2048)


class ClassifiedMeta(Meta):
    """What else there is to say: which model, and whether the same image was known from before."""

    model: str
    reused: bool


class Classified(Success[list[result_models.Prediction]]):
    """The best classes of an image, best first."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})
    meta: ClassifiedMeta


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
            "application/json": {"schema": Link.model_json_schema()},
        },
    }
}
_FAILURES = documented(
    *(Code.TOO_MANY_BYTES, Code.NOT_AN_IMAGE, Code.UNSUPPORTED_FORMAT, Code.NO_IMAGE, Code.IMAGE_CORRUPT),
    *(Code.IMAGE_TRUNCATED, Code.TOO_MANY_PIXELS, Code.REQUEST_INVALID, Code.URL_NOT_ALLOWED, Code.HTTP_404),
    *(Code.QUOTA_EXCEEDED, Code.AT_CAPACITY, Code.DISK_FULL),
)


@routes.post("/v1/classify", response_model=Classified, responses=_FAILURES, openapi_extra=_BODY)
async def classify(
    request: Request,
    services: ServicesDep,
    caller: RequireClassify,
    top: Annotated[int, Query(ge=1, le=20, description="How many classes.")] = 5,
) -> Response:
    """Classify one image at once.

    It comes as the first file of a form, whatever its field is called; as the body itself; or as
    `{"url": ...}` to be fetched. What it is, is judged by its content.
    """
    started = time.monotonic()
    outcome = "gone"
    try:
        services.image_classifier.capacity.check()
        content = await _image(request, services)
        await services.access.charge(caller, 1)
        classified = await services.image_classifier.classify(content, top, request.is_disconnected)
        outcome = "succeeded"
    except SmartSightError as error:
        outcome = error.code
        raise
    except ClientDisconnectedError:
        return Response(status_code=_CLIENT_GONE)
    finally:
        services.observer.classified(outcome, time.monotonic() - started)
    return reply(_body(classified, services.image_classifier.model_name))


async def _image(request: Request, services: ServicesDep) -> bytes:
    """Return the bytes of the image that is asked about, whichever way it came."""
    kind = media_type(request)
    limit = services.settings.upload_bytes
    if kind == "application/json":
        return await services.image_fetcher.fetch((await model_in(request, Link, _MAX_JSON)).url)
    if kind == "multipart/form-data":
        async with form_of(request, limit, Code.TOO_MANY_BYTES) as form:
            file = first_file(form)
            content = await file.read() if file else b""
    else:
        content = await counted(request, limit, Code.TOO_MANY_BYTES).body()
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
