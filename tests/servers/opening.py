"""Letting a guard through to the tests' web, and to nothing else."""

from collections.abc import Callable, Collection, Sequence
from functools import wraps
from typing import Any

Allows = Callable[[Any, str, int], bool]


def opened(allows: Allows, doors: Collection[Sequence[str | int]]) -> Allows:
    """Return ``Guard.allows`` so that it allows these addresses and ports besides its own."""
    pairs = {(address, port) for address, port in doors}

    @wraps(allows)
    def allows_more(guard: Any, address: str, port: int) -> bool:
        return (address, port) in pairs or allows(guard, address, port)

    return allows_more
