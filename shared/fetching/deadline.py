"""How long one request may take, in all and without a sign of life: one timer, that is seldom set anew.

The HTTP client's own limits set a timer for every piece that arrives, which costs a tenth of a fetch.
"""

import asyncio

#: How long a host may be silent, in seconds; it is found out after twice as long at the latest. Until the
#: first sign of life there is time for a connection, too, which has a limit of its own.
_STALL, _FIRST_SIGN = 5.0, 10.0


class Deadline:
    """Ends what its task does within the block by ``TimeoutError``, when that takes too long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._moved = False
        self._has_passed = False

    def moved(self) -> None:
        """Note a sign of life."""
        self._moved = True

    def begin(self) -> None:
        """Let the time run, for the task that this is called in."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._end = self._loop.time() + self._seconds
        self._timer = self._loop.call_later(min(_FIRST_SIGN, self._seconds), self._look)

    def end(self, error: BaseException | None) -> None:
        """Stop the time; raise ``TimeoutError`` if it was over, and the task was cancelled for that."""
        self._timer.cancel()
        if self._has_passed and self._task is not None and isinstance(error, asyncio.CancelledError):
            if self._task.uncancel() > 0:
                return  # somebody else wants the task to end
            raise TimeoutError from error

    def _look(self) -> None:
        left = self._end - self._loop.time()
        if self._moved and left > 0:
            self._moved = False
            self._timer = self._loop.call_later(min(_STALL, left), self._look)
        else:
            self._has_passed = True
            if self._task is not None:
                self._task.cancel()
