"""The service as a command."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.e2e.conftest import Start


class Listening(NamedTuple):
    """A service that listens, and what it had said until then."""

    port: int
    process: "subprocess.Popen[str]"
    words: str


@contextmanager
def listening(start: Start, *arguments: str, command: str = "api", **settings: str) -> Iterator[Listening]:
    """Run the service on a free port, and kill it in the end."""
    with start(command, "--port", "0", *arguments, **settings) as process:
        try:
            assert process.stderr
            words, port = "", None
            while port is None:
                words += (line := process.stderr.readline())
                assert line, words
                port = re.fullmatch(r"Listening on http://(?:\[::1\]|[0-9.]+):([0-9]+)\n", line)
            yield Listening(int(port[1]), process, words)
        finally:
            process.kill()
