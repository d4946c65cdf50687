"""Heartbeats, and what becomes of processes that write none."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.servers.processes import children_of, is_alive, kill_family, send
from tests.servers.waiting import wait_until
from worker.heartbeat import BusyTracker, health_problem, read_heartbeats, write_heartbeat

_ROOT = Path(__file__).parents[2]
#: Seconds; never reached by a test that passes.
_PATIENCE = 60.0
#: How long a process that is looked after here may be silent, in seconds.
_STALE = 3.0
#: Writes heartbeats, of the same moment if it is stuck.
_CHILD = """
import sys, threading
from pathlib import Path
from worker import heartbeat
heartbeat._INTERVAL = 0.05
work = heartbeat.BusyTracker()
if sys.argv[2] == "stuck":
    heartbeat._STUCK = 0.0
with work.track():
    heartbeat.write_heartbeat(Path(sys.argv[1]), work, lambda: True, threading.Event())
"""
#: Looks after one such process, and keeps count of its looks in a file.
_PARENT = """
import sys, threading
from pathlib import Path
from worker import supervisor

class Looks(threading.Event):
    def wait(self, timeout):
        with Path(sys.argv[1], "looks").open("a") as file:
            file.write("x")
        return super().wait(timeout)

supervisor.STALE = float(sys.argv[2])
supervisor.Supervisor(sys.argv[3:], 1, Path(sys.argv[1])).run(Looks())
"""


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.heartbeat._INTERVAL", 0.02)


@contextmanager
def _heartbeating(
    folder: Path, busy_tracker: BusyTracker | None = None, is_ready: Callable[[], bool] = lambda: True
) -> Iterator[None]:
    stop = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(write_heartbeat, folder, busy_tracker or BusyTracker(), is_ready, stop)
        try:
            yield
        finally:
            stop.set()
        running.result()


@contextmanager
def _looked_after(folder: Path, state: str) -> Iterator["subprocess.Popen[bytes]"]:
    child = [sys.executable, "-c", _CHILD, str(folder), state]
    command = [sys.executable, "-c", _PARENT, str(folder), str(_STALE), *child]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as parent:
        try:
            yield parent
        finally:
            kill_family(parent)


def _await_heartbeat(folder: Path) -> int:
    """Wait for a heartbeat that is newer than this moment, and return whose it is."""
    now = time.monotonic()
    wait_until(lambda: any(one.at > now for one in read_heartbeats(folder)), _PATIENCE, "a heartbeat")
    return read_heartbeats(folder)[0].pid


def test_a_process_says_that_it_lives_and_whether_it_can_work(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert health_problem(read_heartbeats(folder), ready=False) == "no worker process has written a heartbeat"
    with _heartbeating(folder, is_ready=lambda: False):
        assert _await_heartbeat(folder) == os.getpid()
        assert health_problem(read_heartbeats(folder), ready=False) == ""
        assert "without broker or model" in health_problem(read_heartbeats(folder), ready=True)
    assert read_heartbeats(folder) == []


def test_a_stuck_process_is_known_by_its_silence_and_may_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.heartbeat.STALE", 0.5)
    monkeypatch.setattr("worker.heartbeat._STUCK", 0.0)
    busy_tracker = BusyTracker()

    def seems_stuck() -> bool:
        return health_problem(read_heartbeats(tmp_path), ready=False).startswith(
            "processes without a heartbeat"
        )

    with _heartbeating(tmp_path, busy_tracker):
        _await_heartbeat(tmp_path)
        with busy_tracker.track():
            wait_until(seems_stuck, _PATIENCE, "health_problem")
        _await_heartbeat(tmp_path)


def test_who_cannot_write_at_first_is_heard_of_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    folder.touch()
    with _heartbeating(folder):
        wait_until(lambda: caplog.records, _PATIENCE, "a complaint")
        folder.unlink()
        _await_heartbeat(folder)


def test_who_cannot_write_any_more_takes_back_what_was_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It would look like the last sign of a process that is stuck, and be its death."""
    obstacle = tmp_path / f"{os.getpid()}.part"

    def in_the_way() -> bool:
        with suppress(FileExistsError):
            obstacle.mkdir()
            return True
        return False

    with _heartbeating(tmp_path):
        _await_heartbeat(tmp_path)
        wait_until(in_the_way, _PATIENCE, "an obstacle")
        wait_until(lambda: read_heartbeats(tmp_path) == [], _PATIENCE, "no heartbeats")
        obstacle.rmdir()
        _await_heartbeat(tmp_path)
    assert len(caplog.records) == 1


def test_a_step_of_the_clock_makes_no_heartbeat_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.heartbeat._INTERVAL", _PATIENCE)
    with _heartbeating(tmp_path):
        wait_until(lambda: read_heartbeats(tmp_path), _PATIENCE, "a heartbeat")
        for file in tmp_path.iterdir():
            os.utime(file, (0, 0))  # as if it were decades later now
        assert health_problem(read_heartbeats(tmp_path), ready=True) == ""


def test_what_was_said_before_the_machine_was_started_is_no_heartbeat(tmp_path: Path) -> None:
    word = {"at": time.monotonic() + 1000, "ready": True}
    (tmp_path / f"{os.getpid()}.beat").write_text(json.dumps(word))
    assert read_heartbeats(tmp_path) == []


def test_a_process_that_is_stuck_is_killed_and_another_takes_its_place(tmp_path: Path) -> None:
    with _looked_after(tmp_path, "stuck") as parent:
        wait_until(lambda: read_heartbeats(tmp_path), _PATIENCE, "the first heartbeat")
        pid = read_heartbeats(tmp_path)[0].pid
        wait_until(lambda: not is_alive(pid), _PATIENCE, "the end of the process")
        wait_until(lambda: children_of(parent.pid) not in ([], [pid]), _PATIENCE, "another process")


def test_a_pause_of_the_whole_machine_kills_nobody(tmp_path: Path) -> None:
    with _looked_after(tmp_path, "well") as parent:
        pid = _await_heartbeat(tmp_path)
        send(signal.SIGSTOP, [parent.pid, pid])
        time.sleep(_STALE + 1)
        looks = (tmp_path / "looks").stat().st_size
        parent.send_signal(signal.SIGCONT)  # the first to go on
        wait_until(lambda: (tmp_path / "looks").stat().st_size > looks + 3, _PATIENCE, "looks")
        send(signal.SIGCONT, [pid])
        assert _await_heartbeat(tmp_path) == pid
        assert children_of(parent.pid) == [pid]


def test_what_another_of_the_same_number_left_behind_kills_nobody(tmp_path: Path) -> None:
    """In a container that is started again, numbers come again, too."""
    with _looked_after(tmp_path, "well") as parent:
        pid = _await_heartbeat(tmp_path)
        send(signal.SIGSTOP, [pid])
        (tmp_path / f"{pid}.beat").write_text(json.dumps({"at": 0.001, "ready": True}))
        looks = (tmp_path / "looks").stat().st_size
        limit = 10 * _STALE + 10
        wait_until(lambda: (tmp_path / "looks").stat().st_size > looks + limit, _PATIENCE, "looks")
        assert children_of(parent.pid) == [pid]
        send(signal.SIGCONT, [pid])
        assert _await_heartbeat(tmp_path) == pid
