"""The store's clock, as this process knows it: pauses between requests must hold from process to process."""

import math
import time

#: A store's clock that is so much behind what was thought has been set back, in seconds.
_SET_BACK = 5.0


class StoreClock:
    """Runs evenly between the answers of the store, which are as old as they were on their way."""

    def __init__(self) -> None:
        # Until the store's clock is known, ours has to do.
        self._ahead = time.time() - time.monotonic()
        #: By how much the store's clock may show more than ours, in seconds.
        self.uncertainty = math.inf

    def now(self) -> float:
        """Return the time by the store's clock, in seconds since 1970; it is no earlier there."""
        return time.monotonic() + self._ahead

    def learn(self, then: float, asked: float) -> None:
        """Take note of what the store's clock showed between ``asked``, by ``time.monotonic``, and now.

        The answer that was fastest is the most right: a slow one must not shift the time, and the pauses
        with it.
        """
        received = time.monotonic()
        ahead = then - received
        if received - asked < self.uncertainty or ahead < self._ahead - _SET_BACK:
            self._ahead, self.uncertainty = ahead, received - asked
