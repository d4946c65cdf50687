"""Which settings a command reads: noted where an attribute of ``Settings`` is looked up."""

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from shared.settings import Settings

_NAMES = {setting.name for setting in fields(Settings)}


def note_settings(target: Path) -> Callable[[], None]:
    """Write the name of every setting that this process reads to a file; return what ends that.

    What reads all of them, to copy the settings or to show them, reads none.
    """
    noted: set[str] = set()
    lookup = object.__getattribute__

    def note(settings: Settings, name: str) -> Any:
        if name in _NAMES and name not in noted and "dataclasses" not in sys._getframe(1).f_code.co_filename:
            noted.add(name)
            with target.open("a") as file:
                file.write(f"{name}\n")
        return lookup(settings, name)

    Settings.__getattribute__ = note  # type: ignore[method-assign, assignment]

    def end() -> None:
        with suppress(AttributeError):
            del Settings.__getattribute__

    return end
