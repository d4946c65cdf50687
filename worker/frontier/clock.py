"""The store's clock, as this process knows it: pauses between requests must hold from process to process."""

import time

#: A store's clock that is so much behind what was thought has been set back, in seconds.
_SET_BACK = 5.0


class StoreClock:
    """Runs evenly between the answers of the store, which are as old as they were on their way."""

    def __init__(self) -> None:
        # Until the store's clock is known, ours has to do.
        self._ahead = time.time() - time.monotonic()
        self._is_known = False

    def now(self) -> float:
        """Return the time by the store's clock, in seconds since 1970."""
        return time.monotonic() + self._ahead

    def learn(self, then: float) -> None:
        """Take note of what the store's clock showed a moment ago.

        The answer that was fastest is the most right: a slow one must not shift the time, and the pauses
        with it.
        """
        ahead = then - time.monotonic()
        if not self._is_known or ahead > self._ahead or ahead < self._ahead - _SET_BACK:
            self._ahead = ahead
        self._is_known = True
