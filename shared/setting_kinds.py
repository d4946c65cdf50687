"""How the value of a setting is read from text, and shown: one kind for all settings that are alike.

Everything that a value may not be is refused here: ``parse`` raises ``ValueError`` with what it should be.
"""

import math
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any, NamedTuple

from shared.hosts import host_of
from shared.server_urls import without_password

#: Largest number that a database can store, and that a size in bytes or pixels may be.
_ANY, _LARGEST = 2**63 - 1, 10**12
#: Longest time, in seconds: a year. Timers cannot wait for much longer than a century.
_LONGEST = 31_536_000.0
#: Longest time that a message may wait in RabbitMQ, in seconds, and the shortest it can tell
#: (https://www.rabbitmq.com/docs/ttl: milliseconds in 32 bits).
_LONGEST_DELAY, _SHORTEST_DELAY = 4_294_967.0, 0.001
#: Each delay has a queue of its own.
_MOST_DELAYS = 20
_DIGITS = re.compile(r"[0-9]{1,20}")
_DECIMAL = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+", re.ASCII)
_OWN_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s\[\]:/@]+)(?::([^:]*))?", re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_ORIGIN = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[^\s\[\]:/?#@]+)(?::([^:]*))?", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}
#: Queue names are this and some more, 255 bytes at most.
_PREFIX = re.compile(r"[A-Za-z0-9._-]{1,100}")


#: A path below which a service may be: it goes into links and cookies as it is.
PATH_PREFIX = re.compile(r"(/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]{1,100}){1,10}")

#: A host name and a port.
Place = tuple[str, int]
Network = IPv4Network | IPv6Network


class Kind(NamedTuple):
    """How a value is read from text, and shown."""

    parse: Callable[[str], Any]
    show: Callable[[Any], str] = str


def whole(low: int, high: int) -> Kind:
    """Return the kind of a whole number from ``low`` to ``high``, both included."""

    def parse(text: str) -> int:
        wanted = f"say a whole number from {low} to {high}" if high < _ANY else f"say {low} or more"
        return _number(text, low, high, wanted)

    return Kind(parse)


def _number(text: str, low: int, high: int, wanted: str) -> int:
    number = int(text) if _DIGITS.fullmatch(text.strip()) else -1
    if not low <= number <= high:
        raise ValueError(wanted)
    return number


def _port(text: str) -> int:
    return _number(text, 1, 65_535, "a port is a whole number from 1 to 65535")


def _seconds(text: str) -> float:
    number = _decimal(text)
    if not 0 < number <= _LONGEST:
        raise ValueError(f"say seconds above zero, {_LONGEST:.0f} (a year) at most")
    return number


def _decimal(text: str) -> float:
    return float(text) if _DECIMAL.fullmatch(text.strip()) else math.nan


def _contact(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise ValueError("say a URL or a mail address")
    return text


def _prefix(text: str) -> str:
    if not _PREFIX.fullmatch(text):
        raise ValueError("say up to 100 letters, digits, - _ .")
    return text


def _yes_or_no(text: str) -> bool:
    try:
        return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]
    except KeyError:
        raise ValueError("say yes or no") from None


def _delays(text: str) -> tuple[float, ...]:
    delays = tuple(_decimal(word) for word in text.split(","))
    if not all(_SHORTEST_DELAY <= delay <= _LONGEST_DELAY for delay in delays):
        raise ValueError(
            f"say seconds from {_SHORTEST_DELAY} to {_LONGEST_DELAY:.0f}, with commas between them"
        )
    if list(delays) != sorted(set(delays)) or len(delays) > _MOST_DELAYS:
        raise ValueError(f"say {_MOST_DELAYS} different numbers at most, shortest first")
    return delays


def _ports(text: str) -> tuple[int, ...]:
    return tuple(_port(word) for word in text.split(","))


def _origins(text: str) -> tuple[str, ...]:
    """Return origins as browsers send them (https://html.spec.whatwg.org/#ascii-serialisation-of-an-origin)."""
    return tuple(_origin(word.strip()) for word in text.split(","))


def _origin(text: str) -> str:
    match = _ORIGIN.fullmatch(text)
    if match is None:
        raise ValueError("say SCHEME://HOST or SCHEME://HOST:PORT, with commas between them")
    scheme, host = match[1].lower(), _host(match[2])
    port = _DEFAULT_PORTS[scheme] if match[3] is None else _port(match[3])
    origin = f"{scheme}://[{host}]" if ":" in host else f"{scheme}://{host}"
    return origin if port == _DEFAULT_PORTS[scheme] else f"{origin}:{port}"


def _names(text: str) -> frozenset[str]:
    return frozenset(_host(word.strip()) for word in text.split(","))


def _root_path(text: str) -> str:
    path = text.rstrip("/")
    if path and not PATH_PREFIX.fullmatch(path):
        raise ValueError("say a path such as /labels")
    return path


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(word.strip()) for word in text.split(","))
    except ValueError:
        raise ValueError("say addresses or networks such as 10.0.0.0/8, with commas between them") from None


def _places(text: str) -> tuple[Place, ...]:
    """Return hosts and ports; a host without a port stands for both of the web."""
    places: list[Place] = []
    for word in text.split(","):
        match = _OWN_HOST.fullmatch(word.strip())
        if match is None:
            raise ValueError("say HOST:PORT or HOST, with commas between them")
        host = _host(match[1])
        places += [(host, _port(match[2]))] if match[2] is not None else [(host, 80), (host, 443)]
    return tuple(places)


def _host(text: str) -> str:
    """Return a host as URLs and headers have it: lower case, IDNA-encoded, an address in its short form."""
    if "*" in text:
        raise ValueError("name each host: a wildcard stands for none")
    name = text.strip("[]")
    with suppress(ValueError):
        return ip_address(name).compressed
    host = name.lower() if name.isascii() else host_of(f"http://{name}/") or ""
    if ":" in name or not _HOST.fullmatch(host):
        raise ValueError("say names or addresses of hosts, without ports, with commas between them")
    return host


def _listed(values: Iterable[Any]) -> str:
    return ",".join(f"{value:.15g}" if isinstance(value, float) else str(value) for value in values)


def _show_places(places: Iterable[Place]) -> str:
    return _listed(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in places)


TEXT = Kind(str)
URL = Kind(str, without_password)
SECRET = Kind(str, lambda secret: "***" if secret else "")
FOLDER = Kind(Path)
SECONDS = Kind(_seconds, lambda number: f"{number:.15g}")
COUNT = whole(1, _ANY)
SIZE = whole(1, _LARGEST)
AT_ONCE = whole(1, 1000)
YES_OR_NO = Kind(_yes_or_no, lambda value: "yes" if value else "no")
DELAYS = Kind(_delays, _listed)
CONTACT = Kind(_contact)
QUEUE_PREFIX = Kind(_prefix)
PORTS = Kind(_ports, _listed)
ORIGINS = Kind(_origins, _listed)
HOST_NAMES = Kind(_names, lambda names: _listed(sorted(names)))
ROOT_PATH = Kind(_root_path)
NETWORKS = Kind(_networks, _listed)
OWN_HOSTS = Kind(_places, _show_places)
