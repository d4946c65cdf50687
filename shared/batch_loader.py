"""Combine simultaneous look-ups into one query."""

import asyncio
from collections.abc import Callable, Collection
from typing import Generic, Protocol, TypeVar

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class AsyncCaller(Protocol):
    """Calls a blocking function without blocking the event loop."""

    async def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Return what the function returns, or raise what it raises."""
        ...


class BatchLoader(Generic[K, V]):
    """Looks up many keys at once; keys that arrive during a look-up are in the next one."""

    def __init__(self, caller: AsyncCaller, look_up: Callable[[Collection[K]], dict[K, V]]) -> None:
        self._caller = caller
        self._look_up = look_up
        self._asked: dict[K, asyncio.Future[V | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def find(self, key: K) -> V | None:
        """Return the value of a key, or None; raise what the look-up raises."""
        asked = self._asked.setdefault(key, asyncio.get_running_loop().create_future())
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(asked)

    async def _ask(self) -> None:
        """Look up waiting keys until there are none."""
        while self._asked:
            asked, self._asked = self._asked, {}
            try:
                found = await self._caller.call(self._look_up, list(asked))
            except Exception as error:
                for future in asked.values():
                    future.set_exception(error)
            else:
                for key, future in asked.items():
                    future.set_result(found.get(key))
