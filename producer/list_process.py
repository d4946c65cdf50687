"""Read a list in a confined process, and do as it goes what must not wait for the list.

The processes are ``producer.text_rows`` and ``producer.parquet_rows``: whatever a list does to its reader,
it does to a process with limited memory and processor time.
"""

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from shared.budgets import ListBudget, too_costly
from shared.confined_process import ProcessEndedError, lines_of, start_confined
from shared.errors import Code, ResourceError

#: Called while a list is read, every second at least; what it raises ends the reading.
Check = Callable[[], None]


class ProcessUnavailableError(ResourceError):
    """No process can be started now; this says nothing of the list."""

    def __init__(self, name: str, error: OSError) -> None:
        reason = error.strerror or str(error)
        super().__init__(Code.SOURCE_UNREADABLE, f"{name}: no process to read it: {reason}")


def no_check() -> None:
    """Let the reading go on."""


def answers(
    command: Sequence[str], file: IO[bytes], name: str, budget: ListBudget, check: Check
) -> Iterator[Any]:
    """Yield what a process prints about a list, which is its standard input: a JSON value a line.

    Raises ``UsageError(list_too_costly)`` if it takes too much processor time, ``ProcessUnavailableError``,
    ``ResourceError(recorder_crashed)`` if it is killed from outside, and ``OSError`` if it ends otherwise.
    """
    try:
        process = start_confined(command, file)
    except OSError as error:
        raise ProcessUnavailableError(name, error) from error
    try:
        yield from map(json.loads, lines_of(process, budget.seconds, check))
    except ProcessEndedError as error:
        if error.status == -signal.SIGXCPU:
            raise too_costly(name, f"{budget.seconds} seconds of processor time") from error
        if error.status == -signal.SIGKILL:  # most likely for lack of memory, which need not be its own fault
            detail = f"{name}: the process that reads it was killed"
            raise ResourceError(Code.RECORDER_CRASHED, detail) from error
        raise OSError(str(error)) from error
