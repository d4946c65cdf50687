"""Whoever counts what the service does."""

from typing import Protocol


class ServiceObserver(Protocol):
    """Is told what the service does, and tells it to whoever collects numbers."""

    def began(self) -> None:
        """Note that a request is in hand."""
        ...

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note that it no longer is; ``route`` is a template such as ``/v1/jobs/{id}``."""
        ...

    def classified(self, outcome: str, seconds: float) -> None:
        """Note how an image that was classified at once came out: a code, or ``succeeded``."""
        ...

    def exposition(self) -> bytes:
        """Return all numbers as Prometheus reads them."""
        ...


class Unobserved:
    """Counts nothing."""

    def began(self) -> None:
        """See ``ServiceObserver``."""

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """See ``ServiceObserver``."""

    def classified(self, outcome: str, seconds: float) -> None:
        """See ``ServiceObserver``."""

    def exposition(self) -> bytes:
        """See ``ServiceObserver``."""
        return b""
