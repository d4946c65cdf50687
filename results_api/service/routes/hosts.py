"""The hosts that images are fetched from: how the fleet treats them, and what people decide about them."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import ConfigDict

from results_api.cursors import decode_text_cursor, encode_text_cursor
from results_api.service.dependencies import RequireAdmin, ServicesDep
from results_api.service.error_responses import error_responses
from results_api.service.responses import (
    PageResponse,
    SuccessResponse,
    example,
    json_response,
    page_body,
    success_body,
)
from results_api.service.services import Services
from shared.actions import list_hosts, set_blocked
from shared.errors import Code
from shared.hosts import Host, HostStatus, host_named

routes = APIRouter(prefix="/v1/hosts", tags=["hosts"])

_EXAMPLE = Host(
    host="images.example.com",
    state=HostStatus.BACKED_OFF,
    seconds_left=12.5,
    delay=0.25,
    waiting=120,
    requests=4711,
    code="connect_timeout",
    message=Code.CONNECT_TIMEOUT.sentence,
).as_json()
_BLOCKED = _EXAMPLE | {"state": HostStatus.BLOCKED, "seconds_left": None}
_HostName = Annotated[str, Path(max_length=255, description="The name of the host.")]


class HostResponse(SuccessResponse[Host]):
    """A host."""

    model_config = ConfigDict(json_schema_extra={"examples": [example(success_body(_BLOCKED))]})


class HostListResponse(PageResponse[Host]):
    """Hosts, by name."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [example(page_body([_EXAMPLE], "aW1hZ2VzLmV4YW1wbGUuY29t"))]}
    )


@routes.get(
    "", response_model=HostListResponse, responses=error_responses(Code.CURSOR_INVALID, Code.REQUEST_INVALID)
)
async def get_hosts(
    services: ServicesDep,
    _: RequireAdmin,
    limit: Annotated[int, Query(ge=1, le=1000, description="Hosts of a page.")] = 100,
    cursor: Annotated[str | None, Query(max_length=400, description="Where the page begins.")] = None,
) -> Response:
    """List the hosts that workers have called, by name.

    `state` is `open`, `slow`, `backed_off`, `given_up` or `blocked`; `seconds_left` is the time until the
    next request to a host that is backed off or given up, `delay` the pause between two requests in seconds,
    `waiting` the number of images that wait for the host.
    """
    after = decode_text_cursor(cursor) if cursor else ""
    # One more than a page, to know whether there is another page.
    found = await asyncio.to_thread(list_hosts, services.store, services.settings, after, limit + 1)
    hosts = found[:limit]
    more = encode_text_cursor(hosts[-1].host) if len(found) > limit else None
    return json_response(page_body([host.as_json() for host in hosts], more))


@routes.post("/{host}/block", response_model=HostResponse, responses=error_responses(Code.HOST_INVALID))
async def block_host(host: _HostName, services: ServicesDep, _: RequireAdmin) -> Response:
    """Stop all requests to a host, within seconds; its images are skipped with `host_blocked`."""
    return await _set_blocked(services, host, True)


@routes.post("/{host}/release", response_model=HostResponse, responses=error_responses(Code.HOST_INVALID))
async def release_host(host: _HostName, services: ServicesDep, _: RequireAdmin) -> Response:
    """Allow requests to a host again, and forget its failures."""
    return await _set_blocked(services, host, False)


async def _set_blocked(services: Services, host: str, blocked: bool) -> Response:
    name = host_named(host)
    found = await asyncio.to_thread(set_blocked, services.store, services.settings, name, blocked)
    return json_response(success_body(found.as_json()))
