"""Heartbeats: each worker process writes a file every second, as long as it is not stuck.

Times are by ``time.monotonic``, which all processes of a machine share: it cannot be set, and it stops
while the machine sleeps.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_log = logging.getLogger("smartsight.worker")

#: Seconds between two heartbeats, and after how many without one a process counts as stuck.
_INTERVAL, STALE = 1.0, 60.0
#: How long one image may keep a core before the process counts as stuck, in seconds: longer than starting a
#: decoder and decoding may take, 60 + 120, on a machine that is too busy.
_STUCK = 240.0
_SUFFIX = ".beat"


class BusyTracker:
    """Knows how long each thread has been at its present work."""

    def __init__(self) -> None:
        self._since: dict[int, float] = {}

    @contextmanager
    def track(self) -> Iterator[None]:
        """Do some work, in this thread."""
        thread = threading.get_ident()
        self._since[thread] = time.monotonic()
        try:
            yield
        finally:
            del self._since[thread]

    def is_stuck(self) -> bool:
        """Tell whether some work has taken too long."""
        return any(time.monotonic() - since > _STUCK for since in list(self._since.values()))


def write_heartbeat(
    folder: Path, busy_tracker: BusyTracker, is_ready: Callable[[], bool], stop: threading.Event
) -> None:
    """Write, every second until told to stop, when this process was last not stuck."""
    file = folder / f"{os.getpid()}{_SUFFIX}"
    at, could_write = time.monotonic(), True
    while not stop.is_set():
        if not busy_tracker.is_stuck():
            at = time.monotonic()
        could_write = _write(file, at, is_ready, log_failure=could_write)
        stop.wait(_INTERVAL)
    _remove(file)


def _write(file: Path, at: float, is_ready: Callable[[], bool], log_failure: bool) -> bool:
    """Tell whether it could be written: a full disk is no reason to stop, nor to be killed."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(json.dumps({"at": at, "ready": is_ready()}))
        part.replace(file)
    except OSError as error:
        if log_failure:
            _log.warning("heartbeat not written", extra={"reason": str(error)})
        _remove(file)  # without one we are not watched; an old one would look as if we were stuck
        return False
    return True


def _remove(file: Path) -> None:
    with suppress(OSError):
        file.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last heartbeat of a process: when it was not stuck, and whether it can work."""

    pid: int
    at: float
    ready: bool

    @property
    def age(self) -> float:
        """How long ago that was, in seconds."""
        return time.monotonic() - self.at


def read_heartbeats(folder: Path) -> list[Heartbeat]:
    """Return the last heartbeats of the processes that still run."""
    found = []
    for file in folder.glob(f"*{_SUFFIX}"):
        if not Path("/proc", file.stem).exists():
            _remove(file)
            continue
        try:
            written = json.loads(file.read_text())
            heartbeat = Heartbeat(int(file.stem), float(written["at"]), bool(written["ready"]))
        except (OSError, ValueError, KeyError):
            continue
        if heartbeat.age >= 0:  # else it is from before the machine was started
            found.append(heartbeat)
    return found


def health_problem(found: list[Heartbeat], ready: bool) -> str:
    """Return what is wrong with the processes of a worker, or nothing."""
    if not found:
        return "no worker process has written a heartbeat"
    stuck = [str(heartbeat.pid) for heartbeat in found if heartbeat.age > STALE]
    if stuck:
        return f"processes without a heartbeat: {', '.join(stuck)}"
    idle = [str(heartbeat.pid) for heartbeat in found if not heartbeat.ready]
    return f"processes without broker or model: {', '.join(idle)}" if ready and idle else ""
