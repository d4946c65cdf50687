"""Tell the user something on standard error."""

import contextlib
import sys


def say(line: str) -> None:
    """Print a line; where it finds no place the message is lost, and the work goes on."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)
