"""The settings, read from the environment: each is ``SMARTSIGHT_`` and its name in capitals."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import platformdirs

from shared.errors import Code, UsageError

_PREFIX = "SMARTSIGHT_"


def _cache_dir() -> Path:
    return platformdirs.user_cache_path("smartsight", appauthor=False)


def _data_dir() -> Path:
    return platformdirs.user_data_path("smartsight", appauthor=False)


@dataclass(frozen=True)
class Settings:
    """What an operator can set; the defaults need no server and no file."""

    #: Where results are kept; empty means a SQLite file in ``data_dir``.
    database_url: str = ""
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
    #: Longest time to fetch one image, in seconds.
    fetch_timeout: float = 20.0

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
        value = _boolean(text) if kind is bool else kind(text)
        if kind in (int, float) and not 0 < value < math.inf:
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
