"""Run the real command in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.classifier.model import Model

#: Longer than any command takes; one that takes longer hangs.
_PATIENCE = 120

Run = Callable[..., "Finished"]
Start = Callable[..., "subprocess.Popen[str]"]


@dataclass
class Finished:
    """What a command left: exit status and what it printed."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


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
    def start(*arguments: str, **settings: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "smartsight", *arguments],
            env=environment | settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def run(start: Start) -> Run:
    def run(*arguments: str, stdin: str = "", **settings: str) -> Finished:
        with start(*arguments, **settings) as process:
            out, err = process.communicate(stdin, timeout=_PATIENCE)
        assert "Traceback" not in err, err
        return Finished(process.returncode, out, err)

    return run
