"""What a request may take before it is served: bytes of its body, images of its key's quota."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address, ip_network

from fastapi import Request

from results_api.api_keys import Caller
from results_api.service.error_responses import status_of
from results_api.service.headers import announced_size
from results_api.service.services import Services
from shared.errors import SmartSightError

#: Leading bits of an IPv6 address that are the same for a whole household.
_SITE = 64


def holder_of(request: Request, caller: Caller) -> str:
    """Return to whom a request counts: its key, or the address that it comes from."""
    if caller.key_id is not None:
        return f"key {caller.key_id}"
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return str(ip_network((address, _SITE), strict=False) if address.version == 6 else address)


@contextmanager
def held_bytes(request: Request, services: Services, caller: Caller, size: int) -> Iterator[None]:
    """Reserve room for so many bytes during the block; raise ``RequestError(at_capacity)`` without it."""
    with services.bodies.reserve(holder_of(request, caller), size):
        yield


def body_size(request: Request, limit: int) -> int:
    """Return how many bytes a body has by its headers, or all that it may have if they do not say."""
    return min(announced_size(request.headers) or limit, limit)


@asynccontextmanager
async def charged(services: Services, caller: Caller, images: int, free_from: int) -> AsyncIterator[None]:
    """Count images against a caller's daily quota before the work on them begins.

    Raises ``RequestError(quota_exceeded)``. They are not counted after all if the block ends with an error
    whose HTTP status is ``free_from`` or higher.
    """
    await services.access.charge(caller, images)
    try:
        yield
    except (SmartSightError, asyncio.CancelledError) as error:  # it is cancelled when the server shuts down
        if isinstance(error, asyncio.CancelledError) or status_of(error.code) >= free_from:
            await asyncio.shield(services.access.refund(caller, images))
        raise
