"""Wait for something to happen, or for a time to come: what is cheaper than a timer for each wait."""

import asyncio


class Alarm:
    """Wakes the one who waits. A timer that nobody needs any more runs out, and wakes for nothing."""

    def __init__(self) -> None:
        self._waiting: asyncio.Future[None] | None = None
        self._rung = False
        self._timer: asyncio.TimerHandle | None = None

    def ring(self) -> None:
        """Wake whoever waits, or whoever waits next."""
        self._rung = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def wait(self, seconds: float | None) -> None:
        """Wait until the alarm rings, or for so many seconds at the most."""
        if not self._rung:
            loop = asyncio.get_running_loop()
            if seconds is not None:
                self._set_timer(loop, loop.time() + seconds)
            self._waiting = loop.create_future()
            await self._waiting
        self._rung = False

    def _set_timer(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        if self._timer is not None and loop.time() < self._timer.when() <= when:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(when, self.ring)
