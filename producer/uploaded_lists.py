"""Lists of strangers: unpacked and parsed in a confined process, within a budget."""

import os
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import IO

from producer.binary_lists import read_parquet
from producer.list_process import Check, answers
from producer.references import Entry, ListColumns, MalformedEntry, UrlEntries, checked
from producer.sources import read_stream, translated
from producer.text_rows import metered, request
from shared.budgets import ListBudget
from shared.confined_process import PYTHON
from shared.errors import Code, ResourceError, UsageError
from shared.list_formats import PARQUET, format_of

#: Bytes of a text list that is read in this process, because a new one would cost more than it ever can.
_SMALL = 1 << 16
#: Errors that are the user's to mend; all others say that the list cannot be read.
_USAGE = (Code.COLUMN_UNKNOWN, Code.BODY_TOO_LARGE, Code.LIST_TOO_COSTLY)


class UploadedList:
    """A list as it was uploaded, packed or not; it can be read several times."""

    def __init__(
        self, name: str, file: IO[bytes], columns: ListColumns, budget: ListBudget, check: Check
    ) -> None:
        """``check`` is called every second at least while the list is read; what it raises ends that."""
        listed = format_of(name)
        assert listed, "such lists alone are accepted"
        self._format = listed
        self._name = name
        self._file = file
        self._columns = columns
        self._budget = budget
        self._check = check
        self._urls = UrlEntries(())
        self._reading: Generator[Entry] | None = None

    @property
    def malformed(self) -> int:
        """How many malformed lines the last reading has found so far."""
        return self._urls.malformed

    def entries(self) -> Iterator[Entry]:
        """Yield its entries from the beginning; what is no URL is malformed.

        Raises ``UsageError`` with ``column_unknown``, ``body_too_large`` or ``list_too_costly``, and
        ``ResourceError`` with ``source_unreadable`` or ``recorder_crashed``.
        """
        self.close()
        self._file.seek(0)
        self._reading = self._read()
        self._urls = UrlEntries(self._reading)
        for count, entry in enumerate(self._urls, 1):
            self._budget.check_lines(self._name, count)
            self._budget.check_malformed(self._name, self._urls.malformed)
            yield entry

    def close(self) -> None:
        """End the process that reads it, if there is one."""
        if self._reading:
            self._reading.close()

    def _read(self) -> Generator[Entry]:
        with translated(self._name):
            if self._format.ending == PARQUET:
                yield from read_parquet(self._name, self._file, self._columns, self._budget, self._check)
            elif not self._format.packing and os.fstat(self._file.fileno()).st_size <= _SMALL:
                file = metered(self._name, self._file, self._budget)
                yield from read_stream(self._name, file, self._columns)
            else:
                yield from self._read_confined()

    def _read_confined(self) -> Iterator[Entry]:
        argument = request(self._name, self._columns, self._budget)
        command = (*PYTHON, "-m", "producer.text_rows", argument)
        for answer in answers(command, self._file, self._name, self._budget, self._check):
            if isinstance(answer, dict):
                raise _error(**answer)
            for row in answer:
                yield _entry(self._name, *row)


def _error(code: str, detail: str) -> UsageError | ResourceError:
    return UsageError(Code(code), detail) if code in _USAGE else ResourceError(Code.SOURCE_UNREADABLE, detail)


def _entry(name: str, text: str, custom_id: str | None, line: int | None, lines: int = 0) -> Entry:
    """Return an entry of the process, which is not trusted: it has seen the list."""
    return MalformedEntry(name, line, text, lines) if lines else checked(text, name, line, custom_id)


@contextmanager
def uploaded(
    name: str, pieces: Iterable[bytes], columns: ListColumns, budget: ListBudget, check: Check
) -> Iterator[UploadedList]:
    """Give a list, which lies in a temporary file meanwhile, as small as it was sent."""
    with tempfile.TemporaryFile() as file:
        file.writelines(pieces)
        file.flush()
        with closing(UploadedList(name, file, columns, budget, check)) as found:
            yield found
