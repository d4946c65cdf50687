"""The three checks between an untrusted URL and a connection.

1. ``UrlGate`` checks the text of a URL: scheme, port, host. It does no I/O.
2. ``Guard.check_answers`` checks every address that a name resolves to.
3. ``Guard.open_socket`` checks every address before connecting: the HTTP client does not resolve an
   address in the URL itself, so checking names is not enough.

Callers follow redirects themselves, through all three checks again.
"""

import logging
import re
import socket
from collections.abc import Collection
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any

from yarl import URL

from shared.errors import Code, ItemError
from shared.fetching.urls import not_a_url, split_url

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver

#: Longest URL, in characters.
_MAX_LENGTH = 2048
#: Longest host name and label, in characters (RFC 1035, section 2.3.4).
_MAX_HOST, _MAX_LABEL = 253, 63
#: Parsers disagree on these: control characters, and a backslash, which browsers take for a slash.
_DISPUTED = re.compile(r"[\x00-\x1f\x7f\\]")
#: What no host and port has: a user name before it, an escape, a space of any kind.
_NOT_IN_AUTHORITY = re.compile(r"[@%\s]")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LABEL = re.compile(r"[a-z0-9_-]+")
#: A host whose last label looks like this is meant as an IPv4 address
#: (https://url.spec.whatwg.org/#ends-in-a-number-checker).
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_INSIDE = (
    *("localhost", "local", "internal", "lan", "home", "corp", "intranet", "private"),
    *("arpa", "test", "invalid", "onion"),
)

#: A host name and port that the operator named as their own.
Endpoint = tuple[str, int]


class UrlGate:
    """Checks URLs by scheme, port and host; URLs of own hosts need only be well-formed."""

    def __init__(self, ports: Collection[int], own: Collection[Endpoint] = ()) -> None:
        self._ports = frozenset(ports)
        self._own = frozenset(own)
        self._endpoint_of = lru_cache(10_000)(self._judge)

    def check(self, text: str) -> URL:
        """Return what to request for an allowed URL; raise ``ItemError(url_not_allowed)``.

        Its host is the one that was checked. Path and query are one text for yarl, which would rewrite them.
        """
        if len(text) > _MAX_LENGTH:
            raise _refusal(f"longer than {_MAX_LENGTH} characters")
        if _DISPUTED.search(text):
            raise _refusal("it contains a backslash or a control character")
        split = split_url(text)
        if split is None:
            raise not_a_url()
        host, port = self._endpoint_of(split.scheme, split.authority)
        authority = _authority(split.scheme, host, port)
        url = URL.build(scheme=split.scheme, authority=authority, path=split.target, encoded=True)
        if (url.raw_host, url.port) != (host, port):
            raise _refusal("its host is ambiguous")
        return url

    def throttled_host(self, text: str) -> str | None:
        """Return the host of a URL if it has a rate limit; None for own hosts and other references."""
        endpoint = self._endpoint(text)
        return None if endpoint is None or endpoint in self._own else endpoint[0].removesuffix(".")

    def own_host(self, text: str) -> str | None:
        """Return the host of a URL if the operator named it as their own."""
        endpoint = self._endpoint(text)
        return endpoint[0].removesuffix(".") if endpoint in self._own else None

    def is_own(self, url: URL) -> bool:
        """Tell whether the URL's host and port are the operator's own."""
        return self.is_own_endpoint(url.raw_host or "", url.port or 0)

    def is_own_endpoint(self, host: str, port: int) -> bool:
        """Tell whether the operator named this host and port as their own."""
        return (host, port) in self._own

    def _endpoint(self, text: str) -> Endpoint | None:
        """Return what a URL calls, if it may be called."""
        split = split_url(text)
        if split is None:
            return None
        try:
            return self._endpoint_of(split.scheme, split.authority)
        except ItemError:
            return None

    def _judge(self, scheme: str, authority: str) -> Endpoint:
        """Return host and port of a URL's authority, or refuse it."""
        if _NOT_IN_AUTHORITY.search(authority):
            raise _refusal("a user name, or a space or an escape in the host")
        try:
            url = URL(f"{scheme}://{authority}/")
        except (ValueError, UnicodeError) as error:
            raise not_a_url() from error
        # Check what the HTTP client will use: it normalizes circled digits and the like.
        host, port = url.raw_host or "", url.port or 0
        if not self.is_own_endpoint(host, port):
            if port not in self._ports:
                raise _refusal(f"port {port}")
            _check_host(host, authority.startswith("["))
        return host, port


def _authority(scheme: str, host: str, port: int) -> str:
    """Return host and port as a URL has them."""
    name = f"[{host}]" if ":" in host else host
    return name if port == _DEFAULT_PORTS[scheme] else f"{name}:{port}"


def _refusal(detail: str) -> ItemError:
    return ItemError(Code.URL_NOT_ALLOWED, detail)


def _check_host(host: str, in_brackets: bool) -> None:
    if in_brackets != (":" in host):
        raise _refusal("an address in the wrong form")
    name = host.removesuffix(".")
    if in_brackets or _NUMBER.fullmatch(name.rpartition(".")[2]):
        _check_address(host)
    else:
        _check_name(name)


def _check_address(host: str) -> None:
    try:
        if ":" not in host:
            IPv4Address(host)  # only the standard form: four decimal numbers
    except AddressValueError as error:
        raise _refusal("an address in the wrong form") from error
    if not is_public(host):
        raise _refusal("not a public address")


def _check_name(name: str) -> None:
    labels = name.split(".")
    if len(name) > _MAX_HOST or not all(
        len(label) <= _MAX_LABEL and _LABEL.fullmatch(label) for label in labels
    ):
        raise _refusal("not a host name")
    if len(labels) < 2 or labels[-1] in _INSIDE:
        raise _refusal("not a public host name")


_NOT_PUBLIC_4 = [
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' NAT, and Alibaba's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's own services
        "169.254.0.0/16",  # link-local, and most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments, and Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
]
#: The only part of IPv6 with public addresses (RFC 4291, section 2.4).
_PUBLIC_6 = ip_network("2000::/3")
_NOT_PUBLIC_6 = [
    ip_network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "2620:4f:8000::/48",
        "3fff::/20",  # documentation
    )
]


@lru_cache(4096)
def is_public(address: str) -> bool:
    """Tell whether a text is a public address, which untrusted URLs may lead to."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv4Address):
        return _is_public_4(parsed)
    if parsed.ipv4_mapped is not None:
        return _is_public_4(parsed.ipv4_mapped)
    return _is_public_6(parsed)


def _is_public_4(address: IPv4Address) -> bool:
    return not any(address in network for network in _NOT_PUBLIC_4)


def _is_public_6(address: IPv6Address) -> bool:
    return address in _PUBLIC_6 and not any(address in network for network in _NOT_PUBLIC_6)


_log = logging.getLogger("smartsight.guard")

#: Idle time after which a connection is closed, in seconds.
KEEP_ALIVE = 2.0
#: How long resolved addresses are cached, in seconds.
_DNS_CACHE = 300


class NotAllowedError(OSError):
    """A name resolves to an internal address, or a connection would go to one."""


class Guard(UrlGate):
    """All three checks, with the same ports and own hosts."""

    def __init__(self, ports: Collection[int], own: Collection[Endpoint] = ()) -> None:
        super().__init__(ports, own)
        self._opened: set[Endpoint] = set(own)

    def connector(self) -> "aiohttp.TCPConnector":
        """Return a connector that can reach only allowed addresses; call it in an event loop."""
        import aiohttp

        return aiohttp.TCPConnector(
            limit=0,  # callers limit concurrent requests
            resolver=_guarded(self, system_resolver()),
            socket_factory=self.open_socket,
            ttl_dns_cache=_DNS_CACHE,
            keepalive_timeout=KEEP_ALIVE,
        )

    def allows(self, address: str, port: int) -> bool:
        """Tell whether untrusted names may lead to an address."""
        return is_public(address)

    def check_answers(self, host: str, port: int, addresses: Collection[str]) -> None:
        """Raise ``NotAllowedError`` if any address of a name is internal: a mixture is an attack."""
        if self.is_own_endpoint(host, port):
            self._opened.update((address, port) for address in addresses)
        elif not all(self.allows(address, port) for address in addresses):
            _log.warning("name not allowed", extra={"host": host, "addresses": ", ".join(addresses)})
            raise NotAllowedError(f"{host} leads inside")

    def open_socket(self, target: tuple[Any, ...]) -> socket.socket:
        """Return a socket for one address of ``getaddrinfo``, or raise ``NotAllowedError``."""
        family, kind, protocol, _name, (address, port, *_) = target
        if (address, port) not in self._opened and not self.allows(address, port):
            _log.warning("connection not allowed", extra={"address": address, "port": port})
            raise NotAllowedError(f"{address} is inside")
        return socket.socket(family, kind, protocol)


def system_resolver() -> "AbstractResolver":
    """Return a resolver that uses the system's name servers without threads."""
    from aiohttp.resolver import AsyncResolver

    return AsyncResolver()


def _guarded(guard: Guard, names: "AbstractResolver") -> "AbstractResolver":
    from aiohttp.abc import AbstractResolver, ResolveResult

    class GuardedResolver(AbstractResolver):
        """Resolves names, and checks their addresses."""

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[ResolveResult]:
            answers = await names.resolve(host, port, family)
            guard.check_answers(host, port, [answer["host"] for answer in answers])
            return answers

        async def close(self) -> None:
            await names.close()

    return GuardedResolver()
