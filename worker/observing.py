"""What can be seen of a worker from outside."""

from typing import Protocol

from shared.errors import Code
from shared.items import Result


class Observer(Protocol):
    """Is told what a worker does."""

    def took(self, stage: str, seconds: float) -> None:
        """Note how long a stage took: ``fetch``, ``label`` or ``save``."""
        ...

    def ended(self, result: Result) -> None:
        """Note a result that is stored."""
        ...

    def put_off(self, code: Code) -> None:
        """Note an item that is tried again later, and why."""
        ...


class NoObserver:
    """Looks away."""

    def took(self, stage: str, seconds: float) -> None:
        """See ``Observer``."""

    def ended(self, result: Result) -> None:
        """See ``Observer``."""

    def put_off(self, code: Code) -> None:
        """See ``Observer``."""
