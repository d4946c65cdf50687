"""Call the store from asyncio, and retry while it is unavailable, with backoff and jitter."""

import asyncio
import logging
import random
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

from shared.errors import Code, ResourceError

T = TypeVar("T")

_log = logging.getLogger("smartsight.worker")

#: Longest pauses before a retry, the first and the last, in seconds.
_FIRST_PAUSE, _LAST_PAUSE = 0.5, 30.0
#: How soon a pause ends when the worker is told to stop, in seconds.
_TICK = 0.2


class StoreRetry:
    """Runs blocking calls in threads; with ``wait_for_store``, retries while the store is unavailable."""

    def __init__(self, threads: Executor, stopping: threading.Event, wait_for_store: bool) -> None:
        self._threads = threads
        self._stopping = stopping
        self._wait_for_store = wait_for_store

    async def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Return what the function returns; raise ``ResourceError`` if it is not to be retried."""
        pause = _FIRST_PAUSE
        while True:
            try:
                return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
            except ResourceError as error:
                if not self._wait_for_store or error.code is not Code.DATABASE_UNAVAILABLE:
                    raise
                await self._wait(random.uniform(0, pause))
                if self._stopping.is_set():
                    raise
                _log.warning("store unavailable", extra={"reason": str(error)})
                pause = min(2 * pause, _LAST_PAUSE)

    async def _wait(self, seconds: float) -> None:
        while seconds > 0 and not self._stopping.is_set():
            await asyncio.sleep(min(_TICK, seconds))
            seconds -= _TICK
