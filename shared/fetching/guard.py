"""The three gates between a URL that a stranger wrote and a connection.

1. ``UrlGate`` checks the text of a URL: scheme, port, host. It does no I/O.
2. ``Guard.check_answers`` checks every address that a name resolves to.
3. ``Guard.open_socket`` checks every address that is connected to: the HTTP client does not resolve an
   address that stands in the URL itself, so checking names is not enough.

Callers follow redirects themselves, through all three gates again.
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

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver

#: Longest URL, in characters.
_MAX_LENGTH = 2048
#: Longest host name and label, in characters (RFC 1035, section 2.3.4).
_MAX_HOST, _MAX_LABEL = 253, 63
_URL = re.compile(r"(https?)://([^/?#]+)", re.IGNORECASE)
#: Parsers disagree on these: control characters, spaces, and a backslash, which browsers take for a slash.
DISPUTED = re.compile(r"[\x00-\x20\x7f\\]")
_LABEL = re.compile(r"[a-z0-9_-]+")
#: A host whose last label looks like this is meant as an IPv4 address
#: (https://url.spec.whatwg.org/#ends-in-a-number-checker).
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_INSIDE = (
    *("localhost", "local", "internal", "lan", "home", "corp", "intranet", "private"),
    *("arpa", "test", "invalid", "onion"),
)

#: A host name and a port, named by the operator as their own.
Endpoint = tuple[str, int]


class UrlGate:
    """Knows which ports are open to all, and which places are our own: those need only be well-formed."""

    def __init__(self, ports: Collection[int], own: Collection[Endpoint] = ()) -> None:
        self._ports = frozenset(ports)
        self._own = frozenset(own)
        self._endpoint_of = lru_cache(10_000)(self._judge)

    def check(self, text: str) -> URL:
        """Return a URL that may be asked for, without its fragment; raise ``ItemError(url_not_allowed)``."""
        if len(text) > _MAX_LENGTH:
            raise _refusal(f"longer than {_MAX_LENGTH} characters")
        if DISPUTED.search(text):
            raise _refusal("it holds a space, a backslash or a control character")
        match = _URL.match(text)
        if match is None:
            raise _refusal("not a well-formed http or https URL")
        host, port = self._endpoint_of(match[1].lower(), match[2])
        url = _parsed(text)
        if (url.raw_host, url.port) != (host, port):
            raise _refusal("its host cannot be told for sure")
        return url.with_fragment(None) if "#" in text else url

    def throttled_host(self, text: str) -> str | None:
        """Return the host that a URL calls, or None if it calls nobody, or a place of our own."""
        match = _URL.match(text)
        if match is None:
            return None
        try:
            host, port = self._endpoint_of(match[1].lower(), match[2])
        except ItemError:
            return None
        return None if self.is_own_endpoint(host, port) else host.removesuffix(".")

    def is_own(self, url: URL) -> bool:
        """Tell whether the operator named the place of a URL as their own."""
        return self.is_own_endpoint(url.raw_host or "", url.port or 0)

    def is_own_endpoint(self, host: str, port: int) -> bool:
        """Tell whether the operator named this host and port as their own."""
        return (host, port) in self._own

    def _judge(self, scheme: str, authority: str) -> Endpoint:
        """Return host and port of what stands between the slashes, or refuse it."""
        if "@" in authority or "%" in authority:
            raise _refusal("a user name, or an escape in the host")
        url = _parsed(f"{scheme}://{authority}/")
        # What is judged is what the HTTP client will use: it folds circled digits and the like.
        host, port = url.raw_host or "", url.port or 0
        if not self.is_own_endpoint(host, port):
            if port not in self._ports:
                raise _refusal(f"port {port}")
            _check_host(host, authority.startswith("["))
        return host, port


def plain_url(text: str) -> str:
    """Return a URL as it is asked for, however it was written; another text as it is."""
    try:
        return str(_parsed(text).with_fragment(None)) if _URL.match(text) else text
    except ItemError:
        return text


def _refusal(detail: str = "") -> ItemError:
    return ItemError(Code.URL_NOT_ALLOWED, detail)


def _parsed(text: str) -> URL:
    try:
        return URL(text)
    except (ValueError, UnicodeError) as error:
        raise _refusal("not a well-formed http or https URL") from error


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
            IPv4Address(host)  # only the plain form: four decimal numbers
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
#: The only part of IPv6 from which public addresses are given out (RFC 4291, section 2.4).
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
    """Tell whether an address is one that strangers may make us call; what is no address is not."""
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
