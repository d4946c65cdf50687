"""Tell from outside whether a worker process lives: it leaves word in a file, as long as it is not stuck."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: Seconds between two signs of life, and after how many without one a process counts as stuck.
_INTERVAL, STALE = 1.0, 60.0
#: How long one image may keep a core before the process counts as stuck, in seconds: longer than starting a
#: decoder and decoding may take, 60 + 120, on a machine that is too busy.
_STUCK = 240.0
_SUFFIX = ".beat"


class Pulse:
    """Knows since when each thread has been at its present work."""

    def __init__(self) -> None:
        self._since: dict[int, float] = {}

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Be at some work, in this thread."""
        thread = threading.get_ident()
        self._since[thread] = time.monotonic()
        try:
            yield
        finally:
            del self._since[thread]

    def is_stuck(self) -> bool:
        """Tell whether some work has taken too long."""
        return any(time.monotonic() - since > _STUCK for since in list(self._since.values()))


def beat(folder: Path, pulse: Pulse, is_ready: Callable[[], bool], stop: threading.Event) -> None:
    """Leave word of this process in a folder every second until told to stop, unless it is stuck."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{os.getpid()}{_SUFFIX}"
    try:
        while not pulse.is_stuck():
            part = file.with_suffix(".part")
            part.write_text(json.dumps({"ready": is_ready()}))
            part.replace(file)
            if stop.wait(_INTERVAL):
                break
    finally:
        if stop.is_set():
            file.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Sign:
    """The last word of one process: how long ago, in seconds, and whether it can work."""

    pid: int
    age: float
    ready: bool


def signs(folder: Path) -> list[Sign]:
    """Return the last words of the processes that there still are."""
    found = []
    for file in folder.glob(f"*{_SUFFIX}"):
        if not Path("/proc", file.stem).exists():
            file.unlink(missing_ok=True)
            continue
        try:
            age = time.time() - file.stat().st_mtime
            found.append(Sign(int(file.stem), age, bool(json.loads(file.read_text())["ready"])))
        except (OSError, ValueError, KeyError):
            continue
    return found


def trouble(found: list[Sign], ready: bool) -> str:
    """Return what is wrong with the processes of a worker, or nothing."""
    if not found:
        return "no worker process has left word"
    stuck = [str(sign.pid) for sign in found if sign.age > STALE]
    if stuck:
        return f"processes without a sign of life: {', '.join(stuck)}"
    idle = [str(sign.pid) for sign in found if not sign.ready]
    return f"processes without broker or model: {', '.join(idle)}" if ready and idle else ""
