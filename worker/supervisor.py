"""Keep the child processes of a worker running: an image that kills one does not kill the others."""

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from worker.heartbeat import STALE, read_heartbeats

_log = logging.getLogger("smartsight.worker")

#: Seconds between two checks.
_TICK = 0.1
#: Pauses before a process that died is started again, the first and the longest, in seconds.
_FIRST_PAUSE, _LAST_PAUSE = 0.5, 30.0
#: A process that lived so long, in seconds, did not fail to start.
_SETTLED = 60.0


@dataclass
class _Child:
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    start_at: float = 0.0
    pause: float = field(default=_FIRST_PAUSE)
    #: The last heartbeat, and for how long our checks have found no other since, in seconds.
    heartbeat_at: float = 0.0
    silence: float = 0.0

    def is_stuck(self, heartbeat_at: float) -> bool:
        """Note the time of the process's last heartbeat, 0 if there is none, and tell whether it is stuck.

        Checks are counted, and not time: while the whole machine pauses, no process can write a heartbeat.
        """
        # Without a heartbeat it is starting, or cannot write; another one's of this pid is from before.
        silent = heartbeat_at == self.heartbeat_at and heartbeat_at > self.started
        self.heartbeat_at = heartbeat_at
        self.silence = self.silence + _TICK if silent else 0.0
        return self.silence > STALE


class Supervisor:
    """Runs a command so many times; a process that ends is started again, one that is stuck is killed.

    The standard input of each process is a pipe from us, so that it notices when we end.
    """

    def __init__(self, command: Sequence[str], count: int, run_dir: Path) -> None:
        self._command = command
        self._run_dir = run_dir
        self._children = [_Child() for _ in range(count)]

    def run(self, stop: threading.Event) -> None:
        """Keep the processes running until told to stop."""
        while not stop.wait(_TICK):
            for child in self._children:
                self._keep_running(child)
            self._kill_stuck()

    def drain(self, grace: float) -> None:
        """Ask all processes to finish what they have in hand; kill those that take too long, in seconds."""
        processes = [child.process for child in self._children if child.process]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + grace
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _log.warning("process killed", extra={"pid": process.pid, "reason": "slow to stop"})
                process.kill()
                process.wait()

    def _keep_running(self, child: _Child) -> None:
        if child.process is None:
            if time.monotonic() >= child.start_at:
                child.started = time.monotonic()
                child.process = self._start()
        elif child.process.poll() is not None:
            self._note_end(child, child.process)

    def _start(self) -> "subprocess.Popen[bytes]":
        # A session of its own: a terminal's Ctrl-C is for us, and we tell our children.
        return subprocess.Popen(self._command, stdin=subprocess.PIPE, start_new_session=True)

    def _note_end(self, child: _Child, process: "subprocess.Popen[bytes]") -> None:
        status = process.returncode
        how = {"signal": -status} if status < 0 else {"status": status}
        _log.error("process ended", extra={"pid": process.pid, **how})
        if process.stdin:
            process.stdin.close()
        if time.monotonic() - child.started > _SETTLED:
            child.pause = _FIRST_PAUSE
        child.process = None
        child.start_at = time.monotonic() + child.pause
        child.pause = min(2 * child.pause, _LAST_PAUSE)

    def _kill_stuck(self) -> None:
        heartbeats = {heartbeat.pid: heartbeat.at for heartbeat in read_heartbeats(self._run_dir)}
        for child in self._children:
            if child.process and child.is_stuck(heartbeats.get(child.process.pid, 0.0)):
                _log.error("process killed", extra={"pid": child.process.pid, "reason": "no heartbeat"})
                child.process.kill()
