"""Measure a command, find the pictures, print tables."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_TEST_DATA = Path(os.environ.get("SMARTSIGHT_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@dataclass(frozen=True)
class Cost:
    """CPU seconds, wall seconds, and peak resident memory in megabytes."""

    cpu: float
    wall: float
    memory: float


def cost_of(command: Sequence[str], **environment: str) -> Cost:
    """Run a command to its end and return its cost, including child processes."""
    started = time.monotonic()
    with subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
    wall = time.monotonic() - started
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def smartsight(*arguments: str) -> list[str]:
    """Return the command line that starts `smartsight`."""
    return [sys.executable, "-m", "smartsight", *arguments]


def pictures() -> list[Path]:
    """Return the labelled pictures, one per class; exit with an explanation if there are none."""
    found = sorted((_TEST_DATA / "imagenet-sample").glob("*.jpg"))
    if not found:
        sys.exit(f"no pictures in {_TEST_DATA}/imagenet-sample: name the folder by SMARTSIGHT_TEST_DATA")
    return found


def median(values: Iterable[float]) -> float:
    """Return the middle value."""
    return statistics.median(values)


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table in Markdown."""
    print("|", " | ".join(head), "|")
    print("|" + "---|" * len(head))
    for row in rows:
        print("|", " | ".join(str(cell) for cell in row), "|", flush=True)
