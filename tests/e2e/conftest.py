"""Run the real command: in this process, or in one of its own that a test starts and ends."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.classifier.model import Model
from tests.servers.commands import PATIENCE, Finished, run_command, start_command

Run = Callable[..., Finished]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def environment(lite0: Model, cache_dir: Path, tmp_path: Path) -> dict[str, str]:
    """The settings of the command: models of this test run, everything else of this test."""
    return {
        **os.environ,
        "SMARTSIGHT_CACHE_DIR": str(cache_dir),
        "SMARTSIGHT_DATA_DIR": str(tmp_path / "data"),
    }


@pytest.fixture
def start(environment: dict[str, str]) -> Start:
    """What starts a command in a process of its own, with these settings besides."""

    def start(*arguments: str, **settings: str) -> "subprocess.Popen[str]":
        return start_command(arguments, environment | settings)

    return start


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    """What runs a command to its end in this process."""

    def run(*arguments: str, stdin: str = "", **settings: str) -> Finished:
        finished = run_command(arguments, environment | settings, stdin)
        assert "Traceback" not in finished.err, finished.err
        return finished

    return run


@pytest.fixture
def run_apart(start: Start) -> Run:
    """What runs a command to its end in a process of its own, which PYTHONPATH may change."""

    def run_apart(*arguments: str, stdin: str = "", **settings: str) -> Finished:
        with start(*arguments, **settings) as process:
            out, err = process.communicate(stdin, timeout=PATIENCE)
        assert "Traceback" not in err, err
        return Finished(process.returncode, out, err)

    return run_apart
