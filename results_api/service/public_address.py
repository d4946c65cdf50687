"""Where clients reach this service, and who they are, when proxies stand in between.

``PublicAddressMiddleware`` works both out once for each request; whatever makes links, cookies or error pages
asks ``public_address``. What proxies say (``X-Forwarded-For``, ``-Proto``, ``-Host`` and ``-Prefix``) is
believed only from those that the operator names: anybody can send such headers.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.setting_kinds import PATH_PREFIX, Network

_Address = IPv4Address | IPv6Address

#: A host and its port, as ``Host`` has them (RFC 9110, section 7.2); of names only what can be in a URL.
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
#: Paths below which a slash at the end makes no difference.
_API = "/v1/"
_STATE, _RECEIVED = "public_address", "received_host"


@dataclass(frozen=True, slots=True)
class PublicAddress:
    """Where clients reach the service: scheme, host with port, and the path prefix, which may be empty."""

    scheme: str
    host: str
    prefix: str = ""

    def path(self, path: str) -> str:
        """Return the public path of a path of this service."""
        return self.prefix + path

    def url(self, path: str) -> str:
        """Return the URL of a path of this service."""
        return f"{self.scheme}://{self.host}{self.prefix}{path}"


def public_address(scope: Scope) -> PublicAddress:
    """Return where the client of a request reaches the service."""
    known: PublicAddress | None = scope.get("state", {}).get(_STATE)
    return known or _address(scope, "")


def received_host(scope: Scope) -> str | None:
    """Return the ``Host`` of a request as it was received, whatever a proxy says."""
    host: str | None = scope.get("state", {}).get(_RECEIVED) or Headers(scope=scope).get("Host")
    return host


class PublicAddressMiddleware:
    """Notes the public address, and gives requests the path, host, scheme and client that they began with.

    ``prefix`` is the path below which a proxy serves us; it may pass it on or strip it. ``trusted`` are the
    networks of the proxies whose headers are believed.
    """

    def __init__(self, app: ASGIApp, prefix: str = "", trusted: Collection[Network] = ()) -> None:
        self._app = app
        self._prefix = prefix
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on as if there were no proxy; redirect the bare prefix to the page below it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        prefix = self._prefix
        if self._trusts(_peer(scope)):
            prefix = self._believe(scope) or prefix
        address = _address(scope, prefix)
        scope.setdefault("state", {})[_STATE] = address
        if prefix and scope["path"] == prefix:  # links of the page are relative: they need the slash
            await RedirectResponse(address.path("/"), 308)(scope, receive, send)
            return
        scope["path"] = _own_path(scope["path"], prefix)
        await self._app(scope, receive, send)

    def _believe(self, scope: Scope) -> str:
        """Take a proxy's word for the client, the scheme and the host; return the prefix that it names."""
        headers = Headers(scope=scope)
        scope["client"] = (self._client(scope, headers), 0)
        scheme, host = _last(headers, "X-Forwarded-Proto").lower(), _last(headers, "X-Forwarded-Host")
        if scheme in ("http", "https"):
            scope["scheme"] = scheme
        if _HOST.fullmatch(host):
            scope.setdefault("state", {})[_RECEIVED] = headers.get("Host")
            changed = MutableHeaders(headers=headers)
            changed["Host"] = host
            scope["headers"] = changed.raw
        prefix = _last(headers, "X-Forwarded-Prefix").rstrip("/")
        return prefix if PATH_PREFIX.fullmatch(prefix) else ""

    def _client(self, scope: Scope, headers: Headers) -> str:
        """Return the nearest client that is no trusted proxy: further ones may be invented."""
        client = _peer(scope)
        for named in _from_last(headers, "X-Forwarded-For"):
            found = _parsed(named)
            if found is None:
                break
            client = found
            if not self._trusts(client):
                break
        return str(client)

    def _trusts(self, address: _Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)


def _address(scope: Scope, prefix: str) -> PublicAddress:
    host = Headers(scope=scope).get("Host", "")
    if not _HOST.fullmatch(host):
        name, port = scope.get("server") or ("localhost", None)
        host = f"[{name}]" if ":" in name else name
        host = f"{host}:{port}" if port else host
    return PublicAddress(scope.get("scheme", "http"), host, prefix)


def _own_path(path: str, prefix: str) -> str:
    """Return a path without the prefix, and a path of the API without a slash at its end."""
    if prefix and path.startswith(f"{prefix}/"):
        path = path[len(prefix) :]
    return path[:-1] if path.startswith(_API) and path.endswith("/") else path


def _peer(scope: Scope) -> _Address | None:
    """Return the address at the other end of the connection."""
    client = scope.get("client")
    return _parsed(client[0]) if client else None


def _last(headers: Headers, name: str) -> str:
    """Return the last value of a list: what the nearest proxy has said."""
    return next(_from_last(headers, name), "")


def _from_last(headers: Headers, name: str) -> Iterator[str]:
    """Yield the values of a list, the last one first."""
    for line in reversed(headers.getlist(name)):
        yield from (value.strip() for value in reversed(line.split(",")))


def _parsed(text: str) -> _Address | None:
    """Return the address that a text names, with a port or without; None if it names none."""
    bare = text[1:].partition("]")[0] if text.startswith("[") else text
    for candidate in (bare, bare.rpartition(":")[0]):
        try:
            address = ip_address(candidate)
        except ValueError:
            continue
        return getattr(address, "ipv4_mapped", None) or address
    return None
