"""Confined child processes for untrusted input: limited memory, no writing, killed with their parent."""

import fcntl
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

#: Python without ``site``, which takes time and runs third-party code.
PYTHON = (sys.executable, "-s", "-S", "-P")
_ROOT = Path(__file__).parents[1]
_STDERR = 2
#: Signals that a terminal or service sends to all processes; the child ends when its parent does.
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def start_confined(command: Sequence[str], stdin: int | IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start a process that will call ``confine``; raise ``OSError`` if that fails."""
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,  # never read; ``_die_with_the_parent`` needs it
        cwd="/",
        env=_environment(),
        start_new_session=True,  # Ctrl-C in a terminal must not reach the child
    )


def _environment() -> dict[str, str]:
    """Return a child's environment: module paths only, because ours contains passwords."""
    modules = [str(_ROOT), *(path for path in sys.path if Path(path).is_absolute())]
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    # Arrow's own pool reserves a gigabyte of address space before its first allocation.
    lean = {"OPENBLAS_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    return {**kept, **lean, "PYTHONPATH": os.pathsep.join(modules)}


#: Longest line from a process, in bytes; bytes read at a time; and seconds between two checks meanwhile.
_MAX_LINE, _PIECE, _INTERVAL = 16 << 20, 1 << 16, 1.0
#: How much longer than its processor time a process may be waited for: machines can be very busy.
_BUSY = 20


class ProcessEndedError(Exception):
    """A process did not end as it should; ``status`` is None if it made no progress or said too much."""

    def __init__(self, status: int | None) -> None:
        super().__init__(f"the process that reads it ended: {cause_of_death(status)}")
        self.status = status


def lines_of(
    process: "subprocess.Popen[bytes]", cpu_seconds: int, check: Callable[[], None]
) -> Iterator[bytes]:
    """Yield the lines that a confined process prints, and kill it in the end.

    ``check`` is called every second at least, whether lines come or not; what it raises ends the process.
    Raises ``ProcessEndedError``.
    """
    with process:
        try:
            yield from _lines(process, cpu_seconds * _BUSY, check)
            if status := process.wait():
                raise ProcessEndedError(status)
        finally:
            process.kill()


def _lines(process: "subprocess.Popen[bytes]", patience: float, check: Callable[[], None]) -> Iterator[bytes]:
    assert process.stdout
    output, rest = process.stdout.fileno(), b""
    readable = select.poll()
    readable.register(output, select.POLLIN)
    while True:
        check()
        began = time.monotonic()
        if readable.poll(1000 * _INTERVAL):
            piece = os.read(output, _PIECE)
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
            if not piece:
                return
        patience -= min(_INTERVAL, time.monotonic() - began)
        if patience <= 0 or len(rest) > _MAX_LINE:
            raise ProcessEndedError(None)


def cause_of_death(status: int | None) -> str:
    """Return the name of the signal that ended a process, or its exit status."""
    if status is None:
        return "closed its pipes"
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"


def confine(memory: int) -> None:
    """Drop all rights that the child does not need; ``memory`` is its limit in bytes.

    CPU time has no limit here, because it would cover the process's whole life: see ``limit_cpu``.
    """
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    _die_with_the_parent()
    limit(resource.RLIMIT_AS, memory)
    limit(resource.RLIMIT_FSIZE, 0)
    limit(resource.RLIMIT_CORE, 0)


#: Seconds that a process has left after SIGXCPU, if it survives that.
_CPU_GRACE = 1


def limit_cpu(seconds: int) -> None:
    """Let this process die of SIGXCPU after so many seconds of processor time.

    With equal limits it would be SIGKILL, which looks like a lack of memory (``check_process_timers`` in
    Linux's kernel/time/posix-cpu-timers.c).
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard == resource.RLIM_INFINITY or hard > seconds + _CPU_GRACE:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + _CPU_GRACE))


def limit(what: int, value: int) -> None:
    """Set a soft and hard resource limit of this process, unless a lower one is set."""
    _, hard = resource.getrlimit(what)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))


def _die_with_the_parent() -> None:
    """Be killed by SIGIO when the parent closes the pipe that is our standard error.

    C code may never return to see the end of standard input; and standard input cannot raise the signal
    itself, because it also does so for incoming data, sometimes only after it was read (``pipe_write`` in
    Linux's fs/pipe.c). Output to standard error is discarded, and must not block when the pipe is full.
    """
    fcntl.fcntl(_STDERR, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(_STDERR, fcntl.F_GETFL)
    fcntl.fcntl(_STDERR, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)
