"""Child processes that read what strangers made: short of memory, unable to write, gone with their parent."""

import fcntl
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

#: Python without ``site``, which takes time and runs what others installed.
PYTHON = (sys.executable, "-s", "-S", "-P")
_ROOT = Path(__file__).parents[1]
_STDERR = 2
#: Sent to everybody when a terminal or a service ends: we end when our parent has no more use for us.
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def start_sandboxed(command: Sequence[str], stdin: int | IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start a process that is going to call ``enter_sandbox``; raise ``OSError`` if that cannot be."""
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,  # nobody reads it: see ``_die_with_the_parent`` for what it is there for
        cwd="/",
        env=_environment(),
        start_new_session=True,  # a terminal's Ctrl-C is for us
    )


def _environment() -> dict[str, str]:
    """Return what a child may know: where modules are. Passwords are in our own environment."""
    modules = [str(_ROOT), *(path for path in sys.path if Path(path).is_absolute())]
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    # Arrow's own pool takes a gigabyte of addresses before it is asked for the first byte.
    lean = {"OPENBLAS_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    return {**kept, **lean, "PYTHONPATH": os.pathsep.join(modules)}


def cause_of_death(status: int | None) -> str:
    """Return the name of the signal that ended a process, or its exit status."""
    if status is None:
        return "closed its pipes"
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"


def enter_sandbox(memory: int) -> None:
    """Give up for good, in the child, what it does not need; ``memory`` is how many bytes it may take.

    Processor time has no limit: it would be one over the process's whole life.
    """
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    _die_with_the_parent()
    limit(resource.RLIMIT_AS, memory)
    limit(resource.RLIMIT_FSIZE, 0)
    limit(resource.RLIMIT_CORE, 0)


def limit(what: int, value: int) -> None:
    """Set a limit of this process, soft and hard, unless a lower one is set already."""
    _, hard = resource.getrlimit(what)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))


def _die_with_the_parent() -> None:
    """Be killed by SIGIO when our parent lets go of the pipe that is standard error here.

    What works in C may never return to see the end of standard input; and that cannot raise the signal
    itself, as it does so for what comes in, too: sometimes only after it was read (``pipe_write`` in Linux's
    fs/pipe.c). Whatever is written to standard error is of no interest, and must not be waited for when the
    pipe is full.
    """
    fcntl.fcntl(_STDERR, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(_STDERR, fcntl.F_GETFL)
    fcntl.fcntl(_STDERR, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)
