"""An event that wakes one of its waiters each time it is set, or at a time."""

import asyncio
from collections import deque


class AutoResetEvent:
    """Wakes its waiters one at a time.

    One timer for all waiters is cheaper than a timer for each; it may go off when it is no longer needed.
    """

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_set = False
        self._timer: asyncio.TimerHandle | None = None

    def set(self) -> None:
        """Wake one waiter, or the next one to come."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._is_set = True

    def set_later(self, seconds: float) -> None:
        """Set it after so many seconds, if there is a waiter."""
        if self._waiting:
            loop = asyncio.get_running_loop()
            self._set_timer(loop, loop.time() + seconds)

    async def wait(self, timeout: float | None) -> None:
        """Wait until it is set, or for so many seconds at most."""
        if self._is_set:
            self._is_set = False
            return
        loop = asyncio.get_running_loop()
        if timeout is not None:
            self._set_timer(loop, loop.time() + timeout)
        waiter = loop.create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.set()  # pass it on to another waiter
            raise

    def _set_timer(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        if self._timer is not None and loop.time() < self._timer.when() <= when:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(when, self.set)
