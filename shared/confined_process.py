"""Confined child processes for untrusted input: limited memory, no writing, killed with their parent."""

import fcntl
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
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


def cause_of_death(status: int | None) -> str:
    """Return the name of the signal that ended a process, or its exit status."""
    if status is None:
        return "closed its pipes"
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"


def confine(memory: int) -> None:
    """Drop all rights that the child does not need; ``memory`` is its limit in bytes.

    CPU time has no limit here, because it would cover the process's whole life.
    """
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    _die_with_the_parent()
    limit(resource.RLIMIT_AS, memory)
    limit(resource.RLIMIT_FSIZE, 0)
    limit(resource.RLIMIT_CORE, 0)


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
