"""The settings: one table of names, meanings, kinds and defaults, read from environment variables.

A setting's variable is ``SMARTSIGHT_`` and its name in capitals. The table is the dataclass below;
``docs/settings.md`` and ``smartsight settings`` are made from it.
"""

import math
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs

from shared.errors import Code, UsageError

#: What the name of every variable begins with.
PREFIX = "SMARTSIGHT_"
#: Variables of our prefix that are not settings: those of tests and of ``docker-compose.yml``.
_NO_SETTINGS = re.compile(r"SMARTSIGHT_(TEST_.*|API_PORT)")
#: What Kubernetes adds for each service, here for one whose name begins with ``smartsight``.
_SERVICE_LINKS = re.compile(r"SMARTSIGHT_(.*_)?(SERVICE_(HOST|PORT.*)|PORT(_[0-9]+_(TCP|UDP).*)?)")
#: How many times its size a list may have when it is unpacked; lists of URLs shrink to a tenth.
_UNPACKED_RATIO = 20
_PORTS = range(1, 65536)
_OWN_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s\[\]:/@]+)(?::([0-9]{1,5}))?", re.IGNORECASE)
_NAME = re.compile(r"[^\s\[\]/@,]+")
_ORIGIN = re.compile(r"https?://[^\s/?#@,*]+")
_PASSWORD = re.compile(r"(?<=://)([^:/@]*):.*@")
_PASSWORD_PARAMETER = re.compile(r"([?&](?:ssl)?pass(?:word|wd)=)[^&]*", re.IGNORECASE)

#: A host name and a port.
Place = tuple[str, int]


class _Kind(NamedTuple):
    """How a value is read from text, and shown."""

    parse: Callable[[str], Any]
    show: Callable[[Any], str] = str


def _whole(low: int, high: int) -> _Kind:
    def parse(text: str) -> int:
        wanted = f"say a whole number from {low} to {high}" if high < _ANY else f"say {low} or more"
        try:
            number = int(text)
        except ValueError:
            raise ValueError(wanted) from None
        if not low <= number <= high:
            raise ValueError(wanted)
        return number

    return _Kind(parse)


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < math.inf:
        raise ValueError("say a number above zero")
    return number


def _contact(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        raise ValueError("say a URL or a mail address")
    return text


def _yes_or_no(text: str) -> bool:
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


def _listed(values: Iterable[Any]) -> str:
    return ",".join(f"{value:.15g}" if isinstance(value, float) else str(value) for value in values)


def _show_places(places: Iterable[Place]) -> str:
    return _listed(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in places)


def _without_password(url: str) -> str:
    return _PASSWORD_PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1:***@", url))


_ANY = 2**63 - 1
_TEXT = _Kind(str)
_URL = _Kind(str, _without_password)
_SECRET = _Kind(str, lambda secret: "***" if secret else "")
_FOLDER = _Kind(Path)
_SECONDS = _Kind(_seconds, lambda number: f"{number:.15g}")
_COUNT = _whole(1, _ANY)
_YES_OR_NO = _Kind(_yes_or_no, lambda value: "yes" if value else "no")
_LIST = _Kind(_delays, _listed)


def _setting(kind: _Kind, default: Any, meaning: str, default_meaning: str = "", **options: Any) -> Any:
    """Declare a setting; ``default_meaning`` says in the documentation what its default stands for."""
    metadata = {"kind": kind, "meaning": meaning, "default": default_meaning}
    if callable(default):
        return field(default_factory=default, metadata=metadata, **options)
    return field(default=default, metadata=metadata, **options)


@dataclass(frozen=True)
class Settings:
    """What an operator can set; the defaults need no server and no file."""

    database_url: str = _setting(
        _URL,
        "",
        "the database for jobs and results: `sqlite:///` and a path, literally, or "
        "`postgresql+psycopg://USER:PASSWORD@HOST:PORT/NAME`",
        "a SQLite file in the data folder",
    )
    broker_url: str = _setting(
        _URL,
        "",
        "the broker between producers and workers: `amqp://USER:PASSWORD@HOST:PORT/VHOST`, or `amqps://`; "
        "parameters such as `?heartbeat=60` are pika's",
        "none: a queue inside the process",
    )
    queue_prefix: str = _setting(_TEXT, "smartsight", "prefix of the names of the broker's queues")
    queue_length: int = _setting(
        _COUNT, 50_000, "messages that may wait in the broker; the rest wait in the database"
    )
    retry_delays: tuple[float, ...] = _setting(
        _LIST,
        (15.0, 120.0, 900.0),
        "seconds before the second, third, ... attempt after a transient failure, shortest first",
    )
    sweep_after: float = _setting(
        _SECONDS,
        1200.0,
        "seconds without progress after which items without a result are published again; keep it above the "
        "longest retry delay",
    )
    data_dir: Path = _setting(  # noqa: RUF009  # it returns a field
        _FOLDER,
        lambda: _user_folder("data"),
        "imported models and the default database",
        "`~/.local/share/smartsight`",
    )
    cache_dir: Path = _setting(  # noqa: RUF009  # it returns a field
        _FOLDER,
        lambda: _user_folder("cache"),
        "built models, which can be built again",
        "`~/.cache/smartsight`",
    )
    run_dir: Path = _setting(  # noqa: RUF009  # it returns a field
        _FOLDER,
        lambda: Path(tempfile.gettempdir(), f"smartsight-{os.getuid()}"),
        "heartbeat files of a worker's processes, for `smartsight worker --check`, and their metrics; a few "
        "MB that must not run full",
        "a folder of this user in the temporary folder",
    )
    model: str = _setting(_TEXT, "lite0", "the model that labels")
    concurrency: int = _setting(_COUNT, 32, "images that a process fetches at the same time")
    nice: int = _setting(
        _whole(1, 19), 10, "niceness of workers: how far they yield the processor to other programs"
    )
    metrics_port: int = _setting(_whole(0, 65535), 0, "port of a worker's Prometheus metrics", "none")
    max_bytes: int = _setting(_COUNT, 20_000_000, "largest image file, in bytes")
    max_pixels: int = _setting(_COUNT, 64_000_000, "largest image, in pixels")
    tiff: bool = _setting(
        _YES_OR_NO,
        False,
        "whether TIFF is accepted, `yes` or `no`; its decoder has had the most security holes",
    )
    thumbnail_side: int = _setting(
        _whole(0, _ANY),
        128,
        "longest side of the stored thumbnails, in pixels; about 4 kB each at 128, and 0 stores none",
    )
    placeholder_urls: int = _setting(
        _COUNT,
        5,
        "from this many URLs of one host in a job, the same bytes are a placeholder and not an image",
    )
    contact: str = _setting(
        _Kind(_contact),
        "",
        "a page or mail address where people reach whoever runs the crawl; it is sent to every host in the "
        "User-Agent header",
        "none: set it before you crawl",
    )
    fetch_timeout: float = _setting(
        _SECONDS, 20.0, "time limit of one request, from connecting to the last byte, in seconds"
    )
    host_connections: int = _setting(
        _COUNT, 2, "connections to one host at the same time, of the whole fleet"
    )
    host_delay: float = _setting(
        _SECONDS,
        0.25,
        "seconds between two requests to one host, of the whole fleet; robots.txt or a 429 response can make "
        "it longer, nothing makes it shorter",
    )
    ports: tuple[int, ...] = _setting(_Kind(_ports, _listed), (80, 443), "ports that URLs may name")
    own_hosts: tuple[Place, ...] = _setting(
        _Kind(_places, _show_places),
        (),
        "hosts of your own, `HOST:PORT` or `HOST` for ports 80 and 443, separated by commas: they may be "
        "inside your network, their robots.txt is not read, and they have no rate limit",
        "none",
    )
    api_url: str = _setting(_URL, "http://127.0.0.1:8000", "the API that commands use with `--api`")
    api_key: str = _setting(
        _SECRET,
        "",
        "the API key that commands send it, over https or on this machine only",
        "none",
        repr=False,
    )
    cors_origins: tuple[str, ...] = _setting(
        _Kind(_origins, _listed),
        (),
        "origins whose pages may use the API from a browser, such as `https://example.com`, separated by "
        "commas",
        "none",
    )
    host_names: frozenset[str] = _setting(
        _Kind(_names, lambda names: _listed(sorted(names))),
        frozenset(),
        "names or addresses, separated by commas, that requests to an API with `--no-auth` may have in their "
        "Host header; all others are refused (DNS rebinding)",
        "all names",
    )
    upload_bytes: int = _setting(_COUNT, 10_000_000, "largest image of `POST /v1/classify`, in bytes")
    list_bytes: int = _setting(
        _COUNT,
        200_000_000,
        f"largest list of `POST /v1/jobs`, in bytes; unpacked it may be {_UNPACKED_RATIO} times as large",
    )
    body_pause: float = _setting(_SECONDS, 10.0, "longest pause while a request's body arrives, in seconds")
    body_timeout: float = _setting(
        _SECONDS,
        60.0,
        "time limit for a small request body, in seconds; a large one gets a second more for every "
        "100 000 bytes",
    )
    drain_timeout: float = _setting(
        _SECONDS,
        30.0,
        "time limit for the requests in progress when the API is told to stop, in seconds; `smartsight api` "
        "exits at most ten seconds later",
    )
    classify_queue: int = _setting(
        _COUNT, 8, "images that may wait for a processor of the API; more get status 503"
    )

    @property
    def unpacked_bytes(self) -> int:
        """How large a list may be when it is unpacked."""
        return _UNPACKED_RATIO * self.list_bytes

    @property
    def store_url(self) -> str:
        """The database URL to use."""
        return self.database_url or f"sqlite:///{self.data_dir / 'smartsight.db'}"


def _user_folder(what: str) -> Path:
    if what == "cache":
        return platformdirs.user_cache_path("smartsight", appauthor=False)
    return platformdirs.user_data_path("smartsight", appauthor=False)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings of an environment; raise ``UsageError(setting_invalid)`` on a bad value.

    An empty variable counts as not set.
    """
    given = {
        setting.name: _parse(setting.metadata["kind"], _variable(setting.name), text)
        for setting in fields(Settings)
        if (text := environment.get(_variable(setting.name)))
    }
    return Settings(**given)


def _parse(kind: _Kind, variable: str, text: str) -> Any:
    try:
        return kind.parse(text)
    except ValueError as error:
        raise UsageError(Code.SETTING_INVALID, f"{variable}={text!r}: {error}") from None


def _variable(name: str) -> str:
    return PREFIX + name.upper()


class ShownSetting(NamedTuple):
    """A setting as it is shown: passwords and keys are hidden."""

    variable: str
    value: str
    is_default: bool
    meaning: str
    default_meaning: str


def shown_settings(environment: Mapping[str, str]) -> Iterator[ShownSetting]:
    """Yield every setting of an environment; raise ``UsageError(setting_invalid)`` on a bad value."""
    settings = read_settings(environment)
    for setting in fields(Settings):
        value = setting.metadata["kind"].show(getattr(settings, setting.name))
        variable = _variable(setting.name)
        yield ShownSetting(
            variable,
            value,
            not environment.get(variable),
            setting.metadata["meaning"],
            setting.metadata["default"],
        )


def variables() -> list[str]:
    """Return the names of all variables."""
    return [_variable(setting.name) for setting in fields(Settings)]


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return the variables of our prefix that are no setting: most likely misspelt."""
    unknown = sorted(name for name in environment if name.startswith(PREFIX))
    known = set(variables())
    return [
        name
        for name in unknown
        if not (name in known or _NO_SETTINGS.fullmatch(name) or _SERVICE_LINKS.fullmatch(name))
    ]


_PAGE = """# Settings

Environment variables; none is required. `smartsight settings` shows what is in force.

| variable | meaning | default |
|---|---|---|
{rows}

No setting opens your network to URLs as a whole or turns robots.txt off: name the hosts that are yours.
"""


def as_markdown() -> str:
    """Return the page that documents every setting."""
    return _PAGE.format(rows="\n".join(_row(setting) for setting in fields(Settings)))


def _row(setting: Any) -> str:
    default = setting.metadata["default"] or f"`{setting.metadata['kind'].show(setting.default)}`"
    return f"| `{_variable(setting.name)}` | {setting.metadata['meaning']} | {default} |"
