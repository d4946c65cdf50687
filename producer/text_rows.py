"""The process that unpacks and parses a text list from standard input to JSON lines on standard output.

A line has a few rows, each a reference, the user's own id, and its line; or the reason against a malformed
one, None, its line, and how many lines are affected. An object instead says why there are no more. Started by
``producer.uploaded_lists``.
"""

import io
import itertools
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any

from producer.packing import unpacked
from producer.references import Entry, ListColumns, MalformedEntry
from producer.sources import read_stream
from shared.budgets import ListBudget
from shared.confined_process import confine, limit_cpu
from shared.errors import Code, SmartSightError
from shared.list_formats import format_of

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: How far the process yields the processor to others.
_NICENESS = 10
#: Rows of a line.
_AT_ONCE = 1000
_BUFFER = 1 << 16


def request(name: str, columns: ListColumns, budget: ListBudget) -> str:
    """Return the argument of the process."""
    return json.dumps([name, asdict(columns), asdict(budget)])


def run() -> None:
    """Read the list that the argument describes."""
    name, columns, limits = json.loads(sys.argv[1])
    budget = ListBudget(**limits)
    os.nice(_NICENESS)
    confine(budget.memory)
    limit_cpu(budget.seconds)
    try:
        listed = format_of(name)
        assert listed, "such lists alone are accepted"
        stream = metered(name, unpacked(sys.stdin.buffer, listed.packing), budget)
        for rows in _rows(read_stream(name, stream, ListColumns(**columns))):
            _say(rows)
    except MemoryError:
        _say({"code": Code.SOURCE_UNREADABLE, "detail": f"{name}: reading it needs more memory than allowed"})
    except SmartSightError as error:
        _say({"code": error.code, "detail": error.detail})


def _say(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _rows(entries: Iterator[Entry]) -> Iterator[list[Any]]:
    while some := list(itertools.islice(entries, _AT_ONCE)):
        yield [_row(entry) for entry in some]


def _row(entry: Entry) -> tuple[Any, ...]:
    if isinstance(entry, MalformedEntry):
        return entry.reason, None, entry.line, entry.lines
    return entry.ref, entry.custom_id, entry.line


def metered(name: str, file: IO[bytes], budget: ListBudget) -> IO[bytes]:
    """Return an unpacked list that can be read as far as its budget of bytes and lines reaches."""
    return io.BufferedReader(_Metered(name, file, budget), _BUFFER)


class _Metered(io.RawIOBase):
    """Counts what is read; raises ``UsageError`` where it is too much."""

    def __init__(self, name: str, file: IO[bytes], budget: ListBudget) -> None:
        self._name = name
        self._file = file
        self._budget = budget
        self._bytes = self._lines = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill a buffer."""
        view = memoryview(buffer).cast("B")
        piece = self._file.read(len(view))
        view[: len(piece)] = piece
        self._bytes += len(piece)
        self._lines += piece.count(b"\n")
        self._budget.check_unpacked(self._name, self._bytes)
        self._budget.check_lines(self._name, self._lines)
        return len(piece)


if __name__ == "__main__":
    run()
