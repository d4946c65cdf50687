"""Waiting for what must come about, never longer than a limit."""

import time
from collections.abc import Callable

_INTERVAL = 0.02


def wait_until(condition: Callable[[], object], patience: float, what: str) -> None:
    """Return as soon as the condition holds; say what did not come about after so many seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience:g} s in vain for {what}")
        time.sleep(_INTERVAL)
