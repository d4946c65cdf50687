"""For whoever runs the service: does it live, is it ready, what does it do."""

from fastapi import APIRouter, Response

from results_api.service.envelope import Success, success
from results_api.service.failures import documented
from results_api.service.replies import reply
from results_api.service.services import RequireAdmin, ServicesDep
from shared.errors import Code, RequestError

routes = APIRouter(tags=["operations"])

_WELL = "ok"
#: The text format that every Prometheus reads.
_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_METRICS_EXAMPLE = 'smartsight_api_requests_total{method="GET",route="/v1/jobs/{id}",status="200"} 7.0\n'


@routes.get(
    "/livez",
    summary="Does it live",
    response_model=Success[str],
    responses={200: {"content": {"application/json": {"example": success("alive")}}}},
)
async def livez() -> Response:
    """Tell that the process answers."""
    return reply(success("alive"))


@routes.get(
    "/readyz",
    summary="Is it ready",
    response_model=Success[dict[str, str]],
    responses={
        200: {"content": {"application/json": {"example": success({"store": _WELL, "model": _WELL})}}},
        **documented(Code.NOT_READY, Code.SHUTTING_DOWN),
    },
)
async def readyz(services: ServicesDep) -> Response:
    """Tell whether requests are well placed here: what they need is there, and the server stays."""
    if services.draining.has_begun:
        raise RequestError(Code.SHUTTING_DOWN)
    found = await services.health.run()
    words = {name: code.sentence if code else _WELL for name, code in found.items()}
    if any(found.values()):
        detail = " ".join(f"{name}: {said}" for name, said in words.items())
        raise RequestError(Code.NOT_READY, detail)
    return reply(success(words))


@routes.get(
    "/metrics",
    summary="What it does, in numbers",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": _METRICS_EXAMPLE}}}},
)
async def metrics(services: ServicesDep, _: RequireAdmin) -> Response:
    """Give the numbers of this process as Prometheus reads them."""
    return Response(services.observer.exposition(), media_type=_METRICS)
