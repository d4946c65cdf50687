"""What can be seen of a worker from outside."""

from typing import Protocol

from shared.errors import Code
from shared.items import Result


class Observer(Protocol):
    """Is told what a worker does."""

    def stage_finished(self, stage: str, seconds: float) -> None:
        """Note how long a stage took: ``fetch``, ``label`` or ``save``."""
        ...

    def item_finished(self, result: Result) -> None:
        """Note a result that is stored."""
        ...

    def retry_scheduled(self, code: Code) -> None:
        """Note an item that is tried again later, and why."""
        ...


class NoObserver:
    """Looks away."""

    def stage_finished(self, stage: str, seconds: float) -> None:
        """See ``Observer``."""

    def item_finished(self, result: Result) -> None:
        """See ``Observer``."""

    def retry_scheduled(self, code: Code) -> None:
        """See ``Observer``."""
