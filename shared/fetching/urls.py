"""The first gate: which URLs are asked for at all. It looks at the text alone and calls nobody."""

import re
from collections.abc import Collection
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address

from yarl import URL

from shared.errors import Code, ItemError
from shared.fetching.addresses import is_public

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
