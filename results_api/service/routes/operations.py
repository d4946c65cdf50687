"""For operators: liveness, readiness, metrics."""

from fastapi import APIRouter, Response

from results_api.service.dependencies import RequireAdmin, ServicesDep
from results_api.service.error_responses import error_responses
from results_api.service.responses import SuccessResponse, json_response, success_body
from shared.errors import Code, RequestError

routes = APIRouter(tags=["operations"])

_OK = "ok"
#: Prometheus's text format.
_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_METRICS_EXAMPLE = 'smartsight_api_requests_total{method="GET",route="/v1/jobs/{id}",status="200"} 7.0\n'


@routes.get(
    "/livez",
    summary="Liveness",
    response_model=SuccessResponse[str],
    responses={200: {"content": {"application/json": {"example": success_body("alive")}}}},
)
async def livez() -> Response:
    """Respond as long as the process runs."""
    return json_response(success_body("alive"))


@routes.get(
    "/readyz",
    summary="Readiness",
    response_model=SuccessResponse[dict[str, str]],
    responses={
        200: {"content": {"application/json": {"example": success_body({"store": _OK, "model": _OK})}}},
        **error_responses(Code.NOT_READY, Code.SHUTTING_DOWN),
    },
)
async def readyz(services: ServicesDep) -> Response:
    """Check that the server has what requests need, and is not shutting down."""
    if services.draining.has_begun:
        raise RequestError(Code.SHUTTING_DOWN)
    found = await services.health.run()
    outcomes = {name: code.sentence if code else _OK for name, code in found.items()}
    if any(found.values()):
        detail = " ".join(f"{name}: {outcome}" for name, outcome in outcomes.items())
        raise RequestError(Code.NOT_READY, detail)
    return json_response(success_body(outcomes))


@routes.get(
    "/metrics",
    summary="Metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": _METRICS_EXAMPLE}}}},
)
async def metrics(services: ServicesDep, _: RequireAdmin) -> Response:
    """Return the metrics of this process in Prometheus's text format."""
    return Response(services.observer.exposition(), media_type=_METRICS)
