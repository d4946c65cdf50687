"""Processes of servers: their families, and how they end."""

import os
import signal
import subprocess
from pathlib import Path

from tests.servers.waiting import wait_until

#: A server that stops in good order writes what it has first, which takes a busy machine a while.
_PATIENCE = 120


def check_runs(process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Raise what the process left to say if it has ended."""
    if process.poll() is not None:
        words = log.read_text(errors="replace")[-3000:]
        raise RuntimeError(f"{process.args!r} ended with status {process.returncode}:\n{words}")


def children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        fields = _fields(stat)
        if fields and int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def is_alive(pid: int) -> bool:
    """Tell whether the process runs; one that only waits for its parent to take notice does not."""
    fields = _fields(Path(f"/proc/{pid}/stat"))
    return bool(fields) and fields[0] not in "ZX"


def cpu_seconds(pids: list[int]) -> float:
    """Return the processor time that processes have used."""
    fields = [_fields(Path(f"/proc/{pid}/stat")) for pid in pids]
    return sum(int(field[11]) + int(field[12]) for field in fields if field) / os.sysconf("SC_CLK_TCK")


def send(number: signal.Signals, pids: list[int]) -> None:
    """Send a signal to those of the processes that are still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def end(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """Ask the process to stop and wait for it; one that does not is killed."""
    process.send_signal(number)
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def kill_family(process: "subprocess.Popen[bytes]") -> None:
    """Kill the process and its children, of which it cannot make new ones meanwhile."""
    process.send_signal(signal.SIGSTOP)
    family = [process.pid, *children_of(process.pid)]
    send(signal.SIGKILL, family)
    process.wait()
    wait_until(lambda: not any(map(is_alive, family)), _PATIENCE, f"the end of processes {family}")


def _fields(stat: Path) -> list[str]:
    """State, parent and so on: what follows the name, which may itself have spaces and brackets."""
    try:
        return stat.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
