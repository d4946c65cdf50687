"""Run parts in threads of this process: beside the service, and in a worker."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

from shared.errors import Code, ResourceError

_log = logging.getLogger("smartsight.api")

#: Seconds between two checks whether to stop.
_INTERVAL = 0.2

#: A function that runs until its event is set.
Part = Callable[[threading.Event], None]


class Background:
    """Running parts; ``check`` raises if one has ended."""

    def __init__(self, running: Mapping[str, Future[None]]) -> None:
        self._running = running

    def check(self) -> None:
        """Raise ``ResourceError(internal_error)`` if a part has ended."""
        ended = [name for name, task in self._running.items() if task.done()]
        if ended:
            raise ResourceError(Code.INTERNAL_ERROR, f"ended: {', '.join(ended)}")


@contextmanager
def in_background(parts: Mapping[str, Part], wake: Callable[[], None]) -> Iterator[Background]:
    """Run parts until the end of the block; ``wake`` interrupts their waiting when they have to stop."""
    stop = threading.Event()
    with ThreadPoolExecutor(len(parts), "background") as threads:
        running = {name: threads.submit(_run, name, part, stop) for name, part in parts.items()}
        try:
            yield Background(running)
        finally:
            stop.set()
            wake()


def _run(name: str, part: Part, stop: threading.Event) -> None:
    try:
        part(stop)
    except Exception:
        _log.exception("part ended", extra={"part": name})
        raise


def run_parts(parts: Sequence[Part], close: Callable[[], None], stop: threading.Event) -> None:
    """Run parts until ``stop`` is set, an interrupt, or until one of them ends; raise what it raises.

    The parts have their own event: when one ends, others who watch ``stop`` continue.
    """
    ending = threading.Event()
    with ThreadPoolExecutor(len(parts)) as threads:
        running = [threads.submit(part, ending) for part in parts]
        try:
            while not (stop.is_set() or wait(running, _INTERVAL, FIRST_COMPLETED).done):
                pass
        finally:
            ending.set()
            close()
        for ended in running:
            ended.result()
