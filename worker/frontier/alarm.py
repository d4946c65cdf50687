"""Wait for something to happen, or for a time to come: what is cheaper than a timer for each wait."""

import asyncio
from collections import deque


class Alarm:
    """Wakes those who wait, one at a time; a timer that nobody needs any more runs out for nothing."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._rung = False
        self._timer: asyncio.TimerHandle | None = None

    def ring(self) -> None:
        """Wake one who waits, or who waits next."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._rung = True

    async def wait(self, seconds: float | None) -> None:
        """Wait until the alarm rings, or for so many seconds at the most."""
        if self._rung:
            self._rung = False
            return
        loop = asyncio.get_running_loop()
        if seconds is not None:
            self._set_timer(loop, loop.time() + seconds)
        waiter = loop.create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.ring()  # it was for us, and is for another one now
            raise

    def ring_in(self, seconds: float) -> None:
        """Ring after so many seconds, if somebody waits."""
        if self._waiting:
            loop = asyncio.get_running_loop()
            self._set_timer(loop, loop.time() + seconds)

    def _set_timer(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        if self._timer is not None and loop.time() < self._timer.when() <= when:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(when, self.ring)
