"""For whoever runs the service: does it live, is it ready."""

from fastapi import APIRouter, Response

from results_api.service.envelope import Success, success
from results_api.service.replies import reply

routes = APIRouter(tags=["operations"])


@routes.get("/livez", response_model=Success[str])
async def livez() -> Response:
    """Tell that the process answers."""
    return reply(success("alive"))
