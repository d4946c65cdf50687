"""Whether the service can do its work: what it stands on is looked at, and not too often."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from shared.errors import Code, SmartSightError

_log = logging.getLogger("smartsight.api")

#: Seconds for which an outcome holds, so that whoever asks without end does not ask the database.
_AGE = 1.0
#: Longest time for a check, in seconds.
_PATIENCE = 5.0

#: Returns if all is well, or raises ``SmartSightError``; it may take its time.
Check = Callable[[], None]


class Health:
    """Runs checks, each in a thread and one at a time, and remembers for a while what they came to."""

    def __init__(
        self, checks: Mapping[str, Check] | None = None, age: float = _AGE, patience: float = _PATIENCE
    ) -> None:
        self._checks = dict(checks or {})
        self._age = age
        self._patience = patience
        self._running: dict[str, asyncio.Task[None]] = {}
        self._looking = asyncio.Lock()
        self._found: dict[str, Code | None] = {}
        self._until = 0.0

    async def look(self) -> dict[str, Code | None]:
        """Return of each check what is wrong, or nothing."""
        async with self._looking:
            if time.monotonic() >= self._until:
                found = await asyncio.gather(*map(self._check, self._checks))
                self._found = dict(zip(self._checks, found, strict=True))
                self._until = time.monotonic() + self._age
            return self._found

    async def _check(self, name: str) -> Code | None:
        # A check that hangs is not joined by others: its thread is all that it gets.
        task = self._running.get(name) or asyncio.create_task(asyncio.to_thread(self._checks[name]))
        self._running[name] = task
        await asyncio.wait([task], timeout=self._patience)
        if not task.done():
            self._tell(name, Code.CHECK_TIMEOUT, "no answer yet")
            return Code.CHECK_TIMEOUT
        del self._running[name]
        try:
            task.result()
        except SmartSightError as error:
            self._tell(name, error.code, str(error))
            return error.code
        return None

    def _tell(self, name: str, code: Code, words: str) -> None:
        """Write to the log what is wrong, once as long as it is the same."""
        if self._found.get(name) is not code:
            _log.warning("not ready: %s: %s", name, words)
