"""How much is classified at once: who comes when there is no room is told so at once, and waits elsewhere."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from shared.errors import Code, RequestError

#: After how many seconds whoever was turned away may come again.
_COME_AGAIN = 1.0


class Capacity:
    """So many images in hand, and so many in line behind them."""

    def __init__(self, in_hand: int, waiting: int) -> None:
        self._places = in_hand + waiting
        self._taken = 0
        self._turns = asyncio.Semaphore(in_hand)

    def check(self) -> None:
        """Raise ``RequestError(at_capacity)`` if there is no room: better before an image is even read."""
        if self._taken >= self._places:
            raise RequestError(Code.AT_CAPACITY, retry_after=_COME_AGAIN)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Be in line; raise ``RequestError(at_capacity)`` if it is full."""
        self.check()
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Be in hand, as soon as those who came before are done."""
        async with self._turns:
            yield
