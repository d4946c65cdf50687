"""The settings: one table of names, meanings, kinds and defaults, read from environment variables.

A setting's variable is ``SMARTSIGHT_`` and its name in capitals. The table is the dataclass below;
``docs/settings.md`` and ``smartsight settings`` are made from it.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs

from shared.errors import Code, UsageError
from shared.server_urls import without_password
from shared.setting_kinds import (
    AT_ONCE,
    CONTACT,
    COUNT,
    DELAYS,
    FOLDER,
    HOST_NAMES,
    NETWORKS,
    ORIGINS,
    OWN_HOSTS,
    PORTS,
    QUEUE_PREFIX,
    ROOT_PATH,
    SECONDS,
    SECRET,
    SIZE,
    TEXT,
    URL,
    YES_OR_NO,
    Kind,
    Network,
    Place,
    whole,
)

#: What the name of every variable begins with.
PREFIX = "SMARTSIGHT_"
#: Variables of our prefix that are not settings: those of tests and of ``docker-compose.yml``.
_NO_SETTINGS = re.compile(r"SMARTSIGHT_(TEST_.*|API_PORT)")
#: What Kubernetes adds for each service, here for one whose name begins with ``smartsight``.
_SERVICE_LINKS = re.compile(r"SMARTSIGHT_(.*_)?(SERVICE_(HOST|PORT.*)|PORT(_[0-9]+_(TCP|UDP).*)?)")
#: How many times its size a list may have when it is unpacked; lists of URLs shrink to a tenth.
_UNPACKED_RATIO = 20
#: The home of users that have none, as Debian has it: it does not exist.
_NO_HOME = "/nonexistent"


#: Commands that need the same settings; ``jobs`` stands for all that show and control jobs. `submit` labels a
#: sample with --dry-run, and so does the API.
WORKING = ("worker", "up")
SERVING = ("api", "up")
LABELLING = ("label", "submit", "worker", "api", "up")
STORING = ("jobs", "report", "hosts", "keys", "migrate", *LABELLING)


def _setting(
    kind: Kind,
    default: Any,
    meaning: str,
    default_meaning: str = "",
    *,
    used_by: tuple[str, ...] = (),
    **options: Any,
) -> Any:
    """Declare a setting.

    ``default_meaning`` says in the documentation what its default stands for, and ``used_by`` in which
    commands it has an effect.
    """
    metadata = {"kind": kind, "meaning": meaning, "default": default_meaning, "used_by": used_by}
    if callable(default):
        return field(default_factory=default, metadata=metadata, **options)
    return field(default=default, metadata=metadata, **options)


@dataclass(frozen=True)
class Settings:
    """What an operator can set; the defaults need no server and no file."""

    database_url: str = _setting(
        URL,
        "",
        "the database for jobs and results: `sqlite:///` and a path, literally, or "
        "`postgresql+psycopg://USER:PASSWORD@HOST:PORT/NAME`",
        "a SQLite file in the data folder",
        used_by=("classify", *STORING),
    )
    broker_url: str = _setting(
        URL,
        "",
        "the broker between producers and workers: `amqp://USER:PASSWORD@HOST:PORT/VHOST`, or `amqps://`; "
        "parameters such as `?heartbeat=60` are pika's",
        "none: a queue inside the process",
        used_by=("submit", "worker", "api"),
    )
    queue_prefix: str = _setting(
        QUEUE_PREFIX,
        "smartsight",
        "prefix of the names of the broker's queues",
        used_by=("submit", "worker", "api"),
    )
    queue_length: int = _setting(
        COUNT,
        50_000,
        "messages that may wait in the broker; the rest wait in the database",
        used_by=("submit", *WORKING),
    )
    retry_delays: tuple[float, ...] = _setting(
        DELAYS,
        (15.0, 120.0, 900.0),
        "seconds before the second, third, ... attempt after a transient failure, shortest first",
        used_by=("submit", "hosts", "api", *WORKING),
    )
    label_retry_delays: tuple[float, ...] = _setting(
        DELAYS,
        (1.0, 5.0, 15.0),
        "the same in `smartsight label` and dry runs, for which somebody waits",
        "`SMARTSIGHT_RETRY_DELAYS` if that is set, else `1,5,15`",
        used_by=("label", "submit", "api", "up"),
    )
    sweep_after: float = _setting(
        SECONDS,
        1200.0,
        "seconds without progress after which items without a result are published again; keep it above the "
        "longest retry delay",
        used_by=WORKING,
    )
    data_dir: Path = _setting(  # noqa: RUF009  # it returns a field
        FOLDER,
        lambda: _user_folder("data"),
        "imported models and the default database",
        "`~/.local/share/smartsight`",
        used_by=("classify", "model", *STORING),
    )
    cache_dir: Path = _setting(  # noqa: RUF009  # it returns a field
        FOLDER,
        lambda: _user_folder("cache"),
        "built models, which can be built again",
        "`~/.cache/smartsight`",
        used_by=("classify", "model", *LABELLING),
    )
    run_dir: Path = _setting(  # noqa: RUF009  # it returns a field
        FOLDER,
        lambda: _run_folder(),
        "heartbeat files of a worker's processes, for `smartsight worker --check`, and their metrics; a few "
        "MB that must not run full",
        "a folder of this user in the temporary folder",
        used_by=WORKING,
    )
    model: str = _setting(TEXT, "lite0", "the model that labels", used_by=("classify", *LABELLING))
    concurrency: int = _setting(
        AT_ONCE, 32, "images that a process fetches at the same time", used_by=LABELLING
    )
    nice: int = _setting(
        whole(1, 19),
        10,
        "niceness of workers: how far they yield the processor to other programs",
        used_by=WORKING,
    )
    metrics_port: int = _setting(
        whole(0, 65535), 0, "port of a worker's Prometheus metrics", "none", used_by=WORKING
    )
    max_bytes: int = _setting(
        SIZE, 20_000_000, "largest image file, in bytes", used_by=("classify", *LABELLING)
    )
    max_pixels: int = _setting(SIZE, 64_000_000, "largest image, in pixels", used_by=("classify", *LABELLING))
    tiff: bool = _setting(
        YES_OR_NO,
        False,
        "whether TIFF is accepted, `yes` or `no`; its decoder has had the most security holes",
        used_by=("classify", *LABELLING),
    )
    heic: bool = _setting(
        YES_OR_NO,
        False,
        "whether HEIC, the format of iPhone photos, is accepted, `yes` or `no`; its decoder is large and has "
        "had many security holes",
        used_by=("classify", *LABELLING),
    )
    thumbnail_side: int = _setting(
        whole(0, 4096),
        128,
        "longest side of the stored thumbnails, in pixels; about 4 kB each at 128, and 0 stores none",
        used_by=("label", *WORKING),
    )
    placeholder_urls: int = _setting(
        COUNT,
        5,
        "from this many URLs of one host in a job, the same bytes are a placeholder and not an image",
        used_by=LABELLING,
    )
    contact: str = _setting(
        CONTACT,
        "",
        "a page or mail address where people reach whoever runs the crawl; it is sent to every host in the "
        "User-Agent header",
        "none: set it before you crawl",
        used_by=LABELLING,
    )
    fetch_timeout: float = _setting(
        SECONDS,
        20.0,
        "time limit of one request, from connecting to the last byte, in seconds",
        used_by=LABELLING,
    )
    host_connections: int = _setting(
        AT_ONCE, 2, "connections to one host at the same time, of the whole fleet", used_by=LABELLING
    )
    host_delay: float = _setting(
        SECONDS,
        0.25,
        "seconds between two requests to one host, of the whole fleet; robots.txt or a 429 response can make "
        "it longer, nothing makes it shorter",
        used_by=("report", "hosts", *LABELLING),
    )
    ports: tuple[int, ...] = _setting(PORTS, (80, 443), "ports that URLs may name", used_by=LABELLING)
    own_hosts: tuple[Place, ...] = _setting(
        OWN_HOSTS,
        (),
        "hosts of your own, `HOST:PORT` or `HOST` for ports 80 and 443, separated by commas: they may be "
        "inside your network, their robots.txt is not read, and they have no rate limit; when they fail, "
        "they are backed off like others",
        "none",
        used_by=("report", "hosts", *LABELLING),
    )
    api_url: str = _setting(
        URL, "http://127.0.0.1:8000", "the API that commands use with `--api`", used_by=("--api",)
    )
    api_key: str = _setting(
        SECRET,
        "",
        "the API key that commands send it, over https or on this machine only",
        "none",
        repr=False,
        used_by=("--api",),
    )
    cors_origins: tuple[str, ...] = _setting(
        ORIGINS,
        (),
        "origins whose pages may use the API from a browser, such as `https://example.com`, separated by "
        "commas",
        "none",
        used_by=SERVING,
    )
    host_names: frozenset[str] = _setting(
        HOST_NAMES,
        frozenset(),
        "names or addresses, separated by commas, that requests to an API with `--no-auth` may have in their "
        "Host header; all others are refused (DNS rebinding)",
        "all names",
        used_by=SERVING,
    )
    upload_bytes: int = _setting(
        SIZE, 10_485_760, "largest image of `POST /v1/classify`, in bytes", used_by=SERVING
    )
    root_path: str = _setting(
        ROOT_PATH,
        "",
        "path below which a proxy serves the API, such as `/labels`: links, redirects and cookies have it",
        "none",
        used_by=SERVING,
    )
    trusted_proxies: tuple[Network, ...] = _setting(
        NETWORKS,
        (),
        "addresses or networks of the proxies in front of the API, separated by commas: their "
        "`X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix` are believed, those of others are ignored",
        "none",
        used_by=SERVING,
    )
    list_bytes: int = _setting(
        SIZE,
        200_000_000,
        f"largest list of `POST /v1/jobs`, in bytes; unpacked it may be {_UNPACKED_RATIO} times as large",
        used_by=("worker", *SERVING),
    )
    body_pause: float = _setting(
        SECONDS, 10.0, "longest pause while a request's body arrives, in seconds", used_by=SERVING
    )
    held_bytes: int = _setting(
        SIZE,
        500_000_000,
        "bytes of request bodies that the API holds at the same time, in memory or in the temporary folder, "
        "half of them for one key or address; more get status 503",
        used_by=SERVING,
    )
    body_timeout: float = _setting(
        SECONDS,
        60.0,
        "time limit for a small request body, in seconds; a large one gets a second more for every "
        "100 000 bytes",
        used_by=SERVING,
    )
    drain_timeout: float = _setting(
        SECONDS,
        30.0,
        "time limit for the requests in progress when the API is told to stop, in seconds; `smartsight api` "
        "exits at most ten seconds later",
        used_by=SERVING,
    )
    classify_queue: int = _setting(
        AT_ONCE, 8, "images that may wait for a processor of the API; more get status 503", used_by=SERVING
    )

    @property
    def unpacked_bytes(self) -> int:
        """How large a list may be when it is unpacked."""
        return _UNPACKED_RATIO * self.list_bytes

    @property
    def own_host_names(self) -> frozenset[str]:
        """The hosts of your own, without ports."""
        return frozenset(host for host, _ in self.own_hosts)

    @property
    def store_url(self) -> str:
        """The database URL to use."""
        return self.database_url or f"sqlite:///{self.data_dir / 'smartsight.db'}"

    @property
    def store_path(self) -> Path | None:
        """The file of the database, if it is SQLite's."""
        path = self.store_url.removeprefix("sqlite:///")
        return None if path == self.store_url else Path(path)

    @property
    def store_folder(self) -> Path | None:
        """The folder in which the database grows, if it is a SQLite file."""
        return self.store_path.parent if self.store_path else None


def _user_folder(what: str) -> Path:
    """Return this user's folder without looking for it.

    A user without a home, as in many containers, gets one that cannot be used; whatever needs it says so.
    """
    find = platformdirs.user_cache_path if what == "cache" else platformdirs.user_data_path
    try:
        return find("smartsight", appauthor=False)
    except RuntimeError:  # there is no home
        return Path(_NO_HOME, "smartsight", what)


def _run_folder() -> Path:
    """Return this user's folder in the temporary folder, without looking for it as ``tempfile`` does."""
    return Path(os.environ.get("TMPDIR") or "/tmp", f"smartsight-{os.getuid()}").absolute()


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings of an environment; raise ``UsageError(setting_invalid)`` on a bad value.

    An empty variable counts as not set.
    """
    given = {
        setting.name: _parse(setting.name, text)
        for setting in fields(Settings)
        if (text := environment.get(_variable(setting.name)))
    }
    if "retry_delays" in given:
        given.setdefault("label_retry_delays", given["retry_delays"])
    return Settings(**given)


def parse_setting(name: str, text: str) -> Any:
    """Return the value that a text gives a setting; raise ``ValueError`` with what it should be."""
    (kind,) = (setting.metadata["kind"] for setting in fields(Settings) if setting.name == name)
    if not text.strip():
        raise ValueError("it is blank: give it a value, or leave it out")
    return kind.parse(text)


def _parse(name: str, text: str) -> Any:
    try:
        return parse_setting(name, text)
    except ValueError as error:
        # Somebody's password may be in any of them, by mistake.
        detail = f"{_variable(name)}={without_password(text)!r}: {error}"
        raise UsageError(Code.SETTING_INVALID, detail) from None


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

Environment variables; none is required. `smartsight settings` shows what is in force. A setting has the same
effect in all commands that it is used by, and none in others; `jobs` stands for all commands that show or
control jobs, and `submit` and `api` label a sample for a dry run.

| variable | meaning | default | used by |
|---|---|---|---|
{rows}

No setting opens your network to URLs as a whole or turns robots.txt off: name the hosts that are yours.

An empty variable counts as not set. A value that is out of range, or blank, is refused by every command with
exit status 2. In the containers of `docker-compose.yml`, the database, the broker and the three folders are
set; all other settings are taken from `.env` or the shell. [limits.md](limits.md) has what none changes.
"""


def as_markdown() -> str:
    """Return the page that documents every setting."""
    return _PAGE.format(rows="\n".join(_row(setting) for setting in fields(Settings)))


def _row(setting: Any) -> str:
    default = setting.metadata["default"] or f"`{setting.metadata['kind'].show(setting.default)}`"
    used_by = ", ".join(f"`{command}`" for command in sorted(set(setting.metadata["used_by"])))
    return f"| `{_variable(setting.name)}` | {setting.metadata['meaning']} | {default} | {used_by} |"


def users_of(name: str) -> set[str]:
    """Return the commands in which a setting has an effect; ``jobs`` stands for all that control jobs."""
    (used_by,) = (setting.metadata["used_by"] for setting in fields(Settings) if setting.name == name)
    return set(used_by)
