"""Waiting for what must come about, never longer than a limit."""

import time
from collections.abc import Callable

_SHORTEST, _LONGEST = 0.01, 0.25


def wait_until(condition: Callable[[], object], patience: float, what: str) -> None:
    """Return as soon as the condition holds; say what did not come about after so many seconds.

    The longer it takes, the less often it looks: about a twentieth of what it has waited already.
    """
    started = time.monotonic()
    while not condition():
        waited = time.monotonic() - started
        if waited > patience:
            raise TimeoutError(f"waited {patience:g} s in vain for {what}")
        time.sleep(min(max(_SHORTEST, waited / 20), _LONGEST))
