"""What operators see of the service: readiness checks, and an observer that counts requests."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from cachetools import TTLCache

from shared.errors import Code, SmartSightError

_log = logging.getLogger("smartsight.api")

#: How long the outcome of all checks is kept, in seconds: probes are not passed on to the database.
_TTL = 1.0
#: The longest time that a check may take, in seconds.
_TIMEOUT = 5.0

#: Returns if all is well, or raises ``SmartSightError``; it may block.
Check = Callable[[], None]


class HealthChecks:
    """Runs checks, each in a thread of its own, and caches their outcomes for a moment."""

    def __init__(
        self, checks: Mapping[str, Check] | None = None, ttl: float = _TTL, timeout: float = _TIMEOUT
    ) -> None:
        self._checks = dict(checks or {})
        self._timeout = timeout
        self._running: dict[str, asyncio.Task[None]] = {}
        self._lock = asyncio.Lock()
        self._cache: TTLCache[str, dict[str, Code | None]] = TTLCache(1, ttl)
        #: The last outcomes, to log changes only.
        self._outcomes: dict[str, Code | None] = {}

    async def run(self) -> dict[str, Code | None]:
        """Return the failure of each check, or None where it passed."""
        async with self._lock:
            cached = self._cache.get("outcomes")
            if cached is None:
                found = await asyncio.gather(*map(self._check, self._checks))
                cached = self._outcomes = dict(zip(self._checks, found, strict=True))
                self._cache["outcomes"] = cached
            return cached

    async def _check(self, name: str) -> Code | None:
        # A check that hangs is not started again: it holds one thread, not one a probe.
        task = self._running.get(name) or asyncio.create_task(asyncio.to_thread(self._checks[name]))
        self._running[name] = task
        await asyncio.wait([task], timeout=self._timeout)
        if not task.done():
            self._log_failure(name, Code.CHECK_TIMEOUT, "no answer yet")
            return Code.CHECK_TIMEOUT
        del self._running[name]
        try:
            task.result()
        except SmartSightError as error:
            self._log_failure(name, error.code, str(error))
            return error.code
        return None

    def _log_failure(self, name: str, code: Code, reason: str) -> None:
        """Log a failed check, once as long as its outcome is the same."""
        if self._outcomes.get(name) is not code:
            fields = {"check": name, "code": str(code), "reason": reason}
            _log.warning("readiness check failed", extra=fields)


class ServiceObserver(Protocol):
    """Counts requests and classifications, for a metrics system."""

    def began(self) -> None:
        """Count a request in progress."""
        ...

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count the end of a request; ``route`` is a template such as ``/v1/jobs/{id}``."""
        ...

    def classified(self, outcome: str, seconds: float) -> None:
        """Count an image of ``/v1/classify``; ``outcome`` is a code, or ``succeeded``."""
        ...

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        ...


class NullObserver:
    """Counts nothing."""

    def began(self) -> None:
        """Do nothing."""

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """Do nothing."""

    def classified(self, outcome: str, seconds: float) -> None:
        """Do nothing."""

    def exposition(self) -> bytes:
        """Return no metrics."""
        return b""
