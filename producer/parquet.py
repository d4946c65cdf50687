"""Read references from a Parquet file, which another process unpacks: that may take so much memory, no more.

A file of a few hundred bytes can stand for gigabytes, in more places than could be looked at beforehand.
"""

import json
import subprocess
from collections.abc import Iterator
from typing import IO, Any

from producer.entries import Entry, ListColumns, MalformedEntry, checked
from producer.lists import column_place
from producer.unpacking import too_large
from shared.confinement import PYTHON, cause_of_death, start_confined

#: Bytes of address space; Python and its libraries take half of them.
_MEMORY = 768 << 20
#: Longest answer, in bytes: more than the longest texts of a few rows take as JSON.
_MAX_ANSWER = 16 << 20


def read_parquet(
    source: str, file: IO[bytes], columns: ListColumns, limit: int | None = None
) -> Iterator[Entry]:
    """Yield the entries of a Parquet file; a malformed one's line is its row, counted from 1.

    Raises ``UsageError`` with ``column_unknown``, or with ``body_too_large`` if it unpacks to more bytes than
    the limit, and ``OSError`` where it is damaged, or takes too much memory.
    """
    names = [columns.ref] + ([columns.custom_id] if columns.custom_id else [])
    command = (*PYTHON, "-m", "producer.parquet_rows", str(_MEMORY), json.dumps(names))
    with start_confined(command, file) as process:
        try:
            answers = _answers(process)
            there = next(answers)
            for name in names:
                column_place(source, there, name)
            yield from _entries(source, answers, limit)
        finally:
            process.kill()


def _answers(process: "subprocess.Popen[bytes]") -> Iterator[Any]:
    """Yield what ``producer.parquet_rows`` says, to its end."""
    assert process.stdout
    while (line := process.stdout.readline(_MAX_ANSWER)).endswith(b"\n"):
        answer = json.loads(line)
        if isinstance(answer, str):
            raise OSError(answer)
        yield answer
    process.stdout.close()
    if status := process.wait():
        raise OSError(f"the process that unpacks it ended: {cause_of_death(status)}")


def _entries(source: str, answers: Iterator[Any], limit: int | None) -> Iterator[Entry]:
    row = size = 0
    for count, rows in answers:
        size += count
        if limit is not None and size > limit:
            raise too_large(source, limit)
        for row, (ref, *custom_id) in enumerate(rows, row + 1):  # noqa: B020
            if ref is None:
                yield MalformedEntry(source, row, "no text where the reference should be")
            else:
                yield checked(ref.strip(), source, row, custom_id[0] if custom_id else None)
