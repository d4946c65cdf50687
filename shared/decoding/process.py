"""An untrusted child process, connected by two pipes."""

import errno
import fcntl
import math
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress

from shared.confined_process import cause_of_death, start_confined
from shared.decoding.child import READY
from shared.errors import Code, ItemError, ResourceError

#: Limit of the process's start, in seconds: machines can be very busy.
_START_TIMEOUT = 60.0
#: How long a process that closed its pipes may take to end by itself, in seconds.
_LAST_BREATH = 1.0
#: Size of a pipe in bytes: most images are sent, and all answers received, without waiting in between.
_PIPE_SIZE = 1 << 20
#: A suspended machine uses up at most this many seconds of a child's time. CPU time is checked only after
#: this long.
_TICK = 1.0
#: Shortages that may pass.
_SHORTAGES = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


class StalledError(Exception):
    """A process ran out of wall time without using its CPU time: it is starved, or it sleeps."""


class ChildProcess:
    """A started process.

    Raises ``ResourceError(decoder_unavailable)``, or ``ItemError(out_of_memory)`` if a retry may help.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._process = _start(command)
        assert self._process.stdin
        assert self._process.stdout
        assert self._process.stderr
        self._pipes = self._process.stdin, self._process.stdout, self._process.stderr
        self._input, self._output = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._input, False)
        for pipe in (self._input, self._output):
            with suppress(OSError):  # the total size of a user's pipes is limited
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        self._writable, self._readable = select.poll(), select.poll()
        self._writable.register(self._input, select.POLLOUT)
        self._readable.register(self._output, select.POLLIN)
        self._left = self._busy_left = 0.0
        self._busy_until: float | None = None
        self._is_ready = False

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Tell whether the process has not ended."""
        return self._process.poll() is None

    def await_ready(self) -> None:
        """Wait until the process is ready; raise as the constructor does if it fails."""
        if self._is_ready:
            return
        self.allow(_START_TIMEOUT)
        try:
            if self.receive(len(READY)) != READY:
                raise EOFError
            self._is_ready = True
        except StalledError:
            self.end()
            raise _shortage("it did not start in time") from None
        except EOFError:
            status = self.last_status()
            if status == -signal.SIGKILL:
                raise _shortage("it was killed at its start") from None
            raise ResourceError(Code.DECODER_UNAVAILABLE, cause_of_death(status)) from None

    def allow(self, seconds: float, busy: float = math.inf) -> None:
        """Limit the wall time of everything sent and received from now on; raise ``StalledError`` after it.

        ``busy`` limits the process's CPU seconds; after these ``TimeoutError`` is raised.
        """
        self._left, self._busy_left, self._busy_until = seconds, busy, None

    def send(self, content: bytes) -> None:
        """Send all bytes; raise ``BrokenPipeError`` if the process is gone."""
        rest = memoryview(content)
        while rest:
            self._wait(self._writable)
            rest = rest[os.write(self._input, rest) :]

    def receive(self, size: int) -> bytearray:
        """Return this many bytes; raise ``EOFError`` if they do not come."""
        content = bytearray(size)
        self.receive_into(memoryview(content))
        return content

    def receive_into(self, rest: memoryview) -> None:
        """Fill a buffer; raise ``EOFError`` if not enough bytes come."""
        while rest:
            self._wait(self._readable)
            count = os.readv(self._output, [rest])
            if not count:
                raise EOFError
            rest = rest[count:]

    def end(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait()
        for pipe in self._pipes:
            pipe.close()

    def last_status(self) -> int | None:
        """Return the exit status of a process that closed its pipes, or None if it had to be killed."""
        status = None
        with suppress(subprocess.TimeoutExpired):
            status = self._process.wait(_LAST_BREATH)
        self.end()
        return status

    def _wait(self, pipe: select.poll) -> None:
        ready = False
        while not ready:
            if self._left <= 0:
                raise StalledError
            started = time.monotonic()
            ready = bool(pipe.poll(1000 * min(_TICK, self._left)))
            self._left -= min(_TICK, time.monotonic() - started)
            if not ready:
                self._check_busy()

    def _check_busy(self) -> None:
        busy = _cpu_time(self.pid)
        if self._busy_until is None:
            self._busy_until = busy + self._busy_left
        if busy > self._busy_until:
            raise TimeoutError


def _cpu_time(pid: int) -> float:
    """Return the CPU seconds of a process, by clock_getcpuclockid(3)."""
    return time.clock_gettime(~pid << 3 | 2)


def _start(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    try:
        return start_confined(command, subprocess.PIPE)
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in _SHORTAGES:
            raise _shortage(reason) from error
        raise ResourceError(Code.DECODER_UNAVAILABLE, reason) from error


def _shortage(reason: str) -> ItemError:
    return ItemError(Code.OUT_OF_MEMORY, f"no process to decode it: {reason}")
