"""What can be seen of a worker from outside."""

from typing import Protocol

from shared.errors import Code
from shared.items import Result


class Observer(Protocol):
    """Gets the figures of a worker."""

    def stage_finished(self, stage: str, seconds: float) -> None:
        """Note the seconds that a stage took: ``fetch``, ``label`` or ``save``."""
        ...

    def item_finished(self, result: Result) -> None:
        """Note a result that is stored."""
        ...

    def retry_scheduled(self, code: Code) -> None:
        """Note an item that is tried again later, and why."""
        ...

    def host_backed_off(self, host: str, is_own: bool, code: Code, seconds: float | None) -> None:
        """Note a host that keeps failing and is not called for so many seconds; None if it is given up."""
        ...


class NoObserver:
    """Ignores them."""

    def stage_finished(self, stage: str, seconds: float) -> None:
        """Do nothing."""

    def item_finished(self, result: Result) -> None:
        """Do nothing."""

    def retry_scheduled(self, code: Code) -> None:
        """Do nothing."""

    def host_backed_off(self, host: str, is_own: bool, code: Code, seconds: float | None) -> None:
        """Do nothing."""
