"""The command `smartsight`, run to its end: in this process, or in one of its own."""

import gc
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any
from unittest.mock import patch

import smartsight
from commands import terminal

#: Longer than any command takes; one that takes longer hangs.
PATIENCE = 120
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Finished:
    """What a command left: exit status and what it printed."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


def start_command(arguments: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    """Start a command in a process of its own: to be killed, or because it serves until it is told to end."""
    return subprocess.Popen(
        [sys.executable, "-m", "smartsight", *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_command(arguments: Sequence[str], environment: Mapping[str, str], stdin: str = "") -> Finished:
    """Run a command in this process, which saves it a second of start-up.

    It has streams, an environment, signals and loggers of its own; what it changes there is undone.
    """
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as given,
        tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as out,
        tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as err,
    ):
        given.write(stdin)
        given.seek(0)
        with _streams(given, out, err), patch.dict(os.environ, environment, clear=True), _untouched():
            status = _status(arguments)
        return Finished(status, _content(out), _content(err))


def _status(arguments: Sequence[str]) -> int:
    try:
        return smartsight.main(arguments)
    except SystemExit as end:  # how the parser of arguments ends
        return int(end.code or 0)


@contextmanager
def _streams(given: IO[str], out: IO[str], err: IO[str]) -> Iterator[None]:
    with (
        patch.object(sys, "stdin", given),
        patch.object(sys, "stdout", out),
        patch.object(sys, "stderr", err),
    ):
        yield


@contextmanager
def _untouched() -> Iterator[None]:
    """Undo what a process does to itself."""
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    loggers = [logging.getLogger(), logging.getLogger("smartsight")]
    before = [(logger.handlers[:], logger.level) for logger in loggers]
    loggers[0].handlers = []
    try:
        with patch.object(terminal, "_verbosity", "normal"):
            yield
    finally:
        for logger, (kept, level) in zip(loggers, before, strict=True):
            logger.handlers = kept
            logger.setLevel(level)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        gc.unfreeze()
        gc.enable()


def _content(stream: IO[str]) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()
