"""The second and third gate: every address that a name leads to, and every connection that is opened.

A gate on names alone is a hole: the HTTP client does not look an address up that stands in a URL itself, so
the last gate is where sockets are made. Redirects are followed by whoever asks, through all gates again.
"""

import logging
import socket
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from shared.fetching.addresses import is_public
from shared.fetching.urls import Endpoint, UrlGate

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver

_log = logging.getLogger("smartsight.guard")

#: How long an idle connection is kept for the next request, in seconds.
KEEP_ALIVE = 2.0
#: How long the answers of name servers are kept, in seconds.
_DNS_CACHE = 300


class NotAllowedError(OSError):
    """A name leads inside, or a connection would go there."""


class Guard(UrlGate):
    """All three gates, with the same ports and the same own places."""

    def __init__(self, ports: Collection[int], own: Collection[Endpoint] = ()) -> None:
        super().__init__(ports, own)
        self._opened: set[Endpoint] = set(own)

    def connector(self) -> "aiohttp.TCPConnector":
        """Return the connector of an HTTP client that can get nowhere else; call it in an event loop."""
        import aiohttp

        return aiohttp.TCPConnector(
            limit=0,  # whoever asks bounds how much is in flight
            resolver=_guarded(self, system_resolver()),
            socket_factory=self.open_socket,
            ttl_dns_cache=_DNS_CACHE,
            keepalive_timeout=KEEP_ALIVE,
        )

    def allows(self, address: str, port: int) -> bool:
        """Tell whether strangers' names may lead there."""
        return is_public(address)

    def check_answers(self, host: str, port: int, addresses: Collection[str]) -> None:
        """Raise ``NotAllowedError`` if any address of a name is inside: such a mixture is an attack."""
        if self.is_own_endpoint(host, port):
            self._opened.update((address, port) for address in addresses)
        elif not all(self.allows(address, port) for address in addresses):
            _log.warning("%s leads inside: %s", host, ", ".join(addresses))
            raise NotAllowedError(f"{host} leads inside")

    def open_socket(self, target: tuple[Any, ...]) -> socket.socket:
        """Return a socket for one address of ``getaddrinfo``, or raise ``NotAllowedError``."""
        family, kind, protocol, _name, (address, port, *_) = target
        if (address, port) not in self._opened and not self.allows(address, port):
            _log.warning("no connection to %s, port %s", address, port)
            raise NotAllowedError(f"{address} is inside")
        return socket.socket(family, kind, protocol)


def system_resolver() -> "AbstractResolver":
    """Return what asks this machine's name servers, without a thread for each question."""
    from aiohttp.resolver import AsyncResolver

    return AsyncResolver()


def _guarded(guard: Guard, names: "AbstractResolver") -> "AbstractResolver":
    from aiohttp.abc import AbstractResolver, ResolveResult

    class GuardedResolver(AbstractResolver):
        """Passes on what the guard allows."""

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            answers = await names.resolve(host, port, family)
            guard.check_answers(host, port, [answer["host"] for answer in answers])
            return answers

        async def close(self) -> None:
            await names.close()

    return GuardedResolver()
