"""Budgets: what one list may cost, and how much of a shared amount one holder may have.

The size of an input says little about the work that it causes: a small gzip file holds millions of lines.
"""

import threading
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from shared.errors import Code, RequestError, UsageError

#: Value of ``Retry-After`` for whoever finds a budget used up, in seconds.
_RETRY_AFTER = 1.0


@dataclass(frozen=True, slots=True)
class ListBudget:
    """What reading one submitted list may cost, each time that it is read.

    ``unpacked`` and ``memory`` are in bytes, ``seconds`` is processor time. Blank lines count as lines, lines
    without a URL as malformed.
    """

    unpacked: int
    lines: int = 100_000_000
    malformed: int = 1_000_000
    seconds: int = 600
    memory: int = 256 << 20

    def check_unpacked(self, name: str, count: int) -> None:
        """Raise ``UsageError(body_too_large)`` if a list has more bytes than this."""
        if count > self.unpacked:
            raise UsageError(Code.BODY_TOO_LARGE, f"{name}: more than {self.unpacked} bytes unpacked")

    def check_lines(self, name: str, count: int) -> None:
        """Raise ``UsageError(list_too_costly)`` if a list has more lines than this."""
        if count > self.lines:
            raise too_costly(name, f"{self.lines} lines")

    def check_malformed(self, name: str, count: int) -> None:
        """Raise ``UsageError(list_too_costly)`` if more lines than this are malformed."""
        if count > self.malformed:
            raise too_costly(name, f"{self.malformed} malformed lines")


def too_costly(name: str, limit: str) -> UsageError:
    """Return the error for a list that exceeds a limit, which is a number and its unit."""
    return UsageError(Code.LIST_TOO_COSTLY, f"{name}: more than {limit}")


class Budget:
    """An amount that holders share, such as bytes or event streams; safe to use from several threads.

    Nobody waits: what does not fit is refused. ``each`` is the most that one holder may have, so that none of
    them can take everything.
    """

    def __init__(self, total: int, each: int) -> None:
        self._total = total
        self._each = each
        self._held: Counter[Hashable] = Counter()
        self._lock = threading.Lock()

    def check(self, holder: Hashable, amount: int = 1) -> None:
        """Raise ``RequestError(at_capacity)`` if the amount would not fit now."""
        if self._held.total() + amount > self._total:
            raise RequestError(Code.AT_CAPACITY, retry_after=_RETRY_AFTER)
        if self._held[holder] + amount > self._each:
            raise RequestError(Code.AT_CAPACITY, "your other requests use up your share", _RETRY_AFTER)

    @contextmanager
    def reserve(self, holder: Hashable, amount: int = 1) -> Iterator[None]:
        """Hold an amount during the block; raise ``RequestError(at_capacity)`` if it does not fit."""
        with self._lock:
            self.check(holder, amount)
            self._held[holder] += amount
        try:
            yield
        finally:
            with self._lock:
                self._held[holder] -= amount
                if not self._held[holder]:
                    del self._held[holder]  # there is no end to addresses
