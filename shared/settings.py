"""The settings, read from the environment: each is ``SMARTSIGHT_`` and its name in capitals."""

import math
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import platformdirs

from shared.errors import Code, UsageError

_PREFIX = "SMARTSIGHT_"
#: How many times smaller a list may be made by packing it; lists of URLs come to a tenth.
_MOST_PACKED = 20
#: Settings that are turned off by a zero.
_MAY_BE_ZERO = ("thumbnail_side",)
_PORTS = range(1, 65536)
_OWN_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s\[\]:/@]+)(?::([0-9]{1,5}))?", re.IGNORECASE)
_NAME = re.compile(r"[^\s\[\]/@,]+")
_ORIGIN = re.compile(r"https?://[^\s/?#@,*]+")

#: A host name and a port.
Place = tuple[str, int]


def _cache_dir() -> Path:
    return platformdirs.user_cache_path("smartsight", appauthor=False)


def _data_dir() -> Path:
    return platformdirs.user_data_path("smartsight", appauthor=False)


def _run_dir() -> Path:
    return Path(tempfile.gettempdir(), f"smartsight-{os.getuid()}")


@dataclass(frozen=True)
class Settings:
    """What an operator can set; the defaults need no server and no file."""

    #: Where results are kept; empty means a SQLite file in ``data_dir``.
    database_url: str = ""
    #: The broker between producers and workers, amqp://USER:PASSWORD@HOST/VHOST; empty means none.
    broker_url: str = ""
    #: What the names of the broker's queues begin with.
    queue_prefix: str = "smartsight"
    #: How many messages may wait in the broker; the others wait in the database.
    queue_length: int = 50_000
    #: Seconds before the second, third, ... attempt after a transient failure, shortest first.
    retry_delays: tuple[float, ...] = (15.0, 120.0, 900.0)
    #: Seconds without any progress after which what has no result is published again.
    sweep_after: float = 1200.0
    #: Where the processes of a worker leave word that they live, for ``smartsight worker --check``.
    run_dir: Path = field(default_factory=_run_dir)
    #: Port for Prometheus to read metrics from; none means no metrics.
    metrics_port: int = 0
    #: Models that can be built again.
    cache_dir: Path = field(default_factory=_cache_dir)
    #: What cannot: imported models and the default database.
    data_dir: Path = field(default_factory=_data_dir)
    #: Name of the model that labels.
    model: str = "lite0"
    #: Largest image file, in bytes.
    max_bytes: int = 20_000_000
    #: Largest picture, in pixels.
    max_pixels: int = 64_000_000
    #: Whether TIFF is accepted: its decoder is large and has had the most holes.
    tiff: bool = False
    #: Images fetched at the same time.
    concurrency: int = 32
    #: Longest time for one request, in seconds.
    fetch_timeout: float = 20.0
    #: A page or address by which people can reach whoever runs this robot; it is told to every host.
    contact: str = ""
    #: Ports that strangers' URLs may name.
    ports: tuple[int, ...] = (80, 443)
    #: Hosts and ports of our own, which may lie inside the network and need not be spared.
    own_hosts: tuple[Place, ...] = ()
    #: How many connections a stranger's host gets at a time, from all workers together.
    host_connections: int = 2
    #: Seconds between two requests to a stranger's host, from all workers together.
    host_delay: float = 0.25
    #: From how many URLs of one host the same bytes are taken for a stand-in, and not for an image.
    placeholder_urls: int = 5
    #: The API that ``--api`` speaks to unless it names another, and the key that it is shown.
    api_url: str = "http://127.0.0.1:8000"
    api_key: str = field(default="", repr=False)
    #: Origins whose pages may ask the API from a browser.
    cors_origins: tuple[str, ...] = ()
    #: Names by which the API is asked where it wants no keys from anybody; none means that all will do.
    host_names: frozenset[str] = frozenset()
    #: Largest image that is classified at once, in bytes.
    upload_bytes: int = 10_000_000
    #: Largest list that may be handed in as a job, in bytes.
    list_bytes: int = 200_000_000
    #: Longest pause in the arrival of a request's body, and longest time for a small one, in seconds.
    body_pause: float = 10.0
    body_timeout: float = 60.0
    #: How long what the API has in hand may take when it is told to stop, in seconds.
    drain_timeout: float = 30.0
    #: Images that may wait for a core of the API; what comes then is told to come again.
    classify_queue: int = 8
    #: How much workers stand back for whatever else wants a core, as ``nice`` has it.
    nice: int = 10
    #: Longest side of the thumbnails that are kept, in pixels; 0 keeps none.
    thumbnail_side: int = 128

    @property
    def unpacked_bytes(self) -> int:
        """How large a list may be when it is unpacked."""
        return _MOST_PACKED * self.list_bytes

    @property
    def store_url(self) -> str:
        """The database URL to use."""
        return self.database_url or f"sqlite:///{self.data_dir / 'smartsight.db'}"


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings that the environment gives; raise ``UsageError`` on a bad value."""
    given = {
        setting.name: _parse(setting.name, setting.type, environment[_variable(setting.name)])
        for setting in fields(Settings)
        if environment.get(_variable(setting.name))
    }
    return Settings(**given)


def _variable(name: str) -> str:
    return _PREFIX + name.upper()


def _parse(name: str, kind: Any, text: str) -> Any:
    try:
        value = _PARSERS.get(kind, kind)(text)
        if name == "contact" and not (text.isascii() and text.isprintable()):
            raise ValueError("say a URL or a mail address")
        if kind in (int, float) and not (0 < value < math.inf or (value == 0 and name in _MAY_BE_ZERO)):
            raise ValueError("not a number above zero")
    except ValueError as error:
        detail = f"{_variable(name)}={text!r}: {error}"
        raise UsageError(Code.SETTING_INVALID, detail) from None
    return value


def _boolean(text: str) -> bool:
    try:
        return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]
    except KeyError:
        raise ValueError("say yes or no") from None


def _delays(text: str) -> tuple[float, ...]:
    delays = tuple(float(word) for word in text.split(","))
    if not all(0 < delay < math.inf for delay in delays) or list(delays) != sorted(set(delays)):
        raise ValueError("say seconds above zero, shortest first, with commas between them")
    return delays


def _ports(text: str) -> tuple[int, ...]:
    ports = tuple(int(word) for word in text.split(","))
    if not all(port in _PORTS for port in ports):
        raise ValueError("say ports from 1 to 65535, with commas between them")
    return ports


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(word.strip() for word in text.split(","))
    if not all(_ORIGIN.fullmatch(origin) for origin in origins):
        raise ValueError("say SCHEME://HOST or SCHEME://HOST:PORT, with commas between them")
    return origins


def _names(text: str) -> frozenset[str]:
    names = frozenset(word.strip().lower() for word in text.split(","))
    if not all(_NAME.fullmatch(name) for name in names):
        raise ValueError("say names or addresses without ports, with commas between them")
    return names


def _places(text: str) -> tuple[Place, ...]:
    """Return hosts and ports; a host without a port stands for both of the web."""
    places: list[Place] = []
    for word in text.split(","):
        match = _OWN_HOST.fullmatch(word.strip())
        if match is None or (match[2] and int(match[2]) not in _PORTS):
            raise ValueError("say HOST:PORT or HOST, with commas between them")
        host = match[1].strip("[]").lower()
        places += [(host, int(match[2]))] if match[2] else [(host, 80), (host, 443)]
    return tuple(places)


_PARSERS: dict[Any, Callable[[str], Any]] = {
    bool: _boolean,
    tuple[float, ...]: _delays,
    tuple[int, ...]: _ports,
    tuple[str, ...]: _origins,
    frozenset[str]: _names,
    tuple[Place, ...]: _places,
}
