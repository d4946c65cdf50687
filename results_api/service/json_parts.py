"""The process that splits a large JSON object with a list, from standard input, into lines for validation.

Parsing in the service's process would stop everything else meanwhile, and take many times the memory of the
text. The arguments are the name of the list, the most entries that it may have, and the longest line in
characters. The first line is the object with the first entry alone; each further line is some of the entries,
as a list. A string instead says what is wrong. Started by ``results_api.service.request_bodies``.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

from shared.confined_process import confine, limit_cpu

#: Bytes of address space, and CPU seconds.
MEMORY, CPU_SECONDS = 512 << 20, 30
#: Entries of a line.
_AT_ONCE = 500


def run() -> None:
    """Split."""
    name, most, longest = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    confine(MEMORY)
    limit_cpu(CPU_SECONDS)
    try:
        for part in _parts(json.load(sys.stdin.buffer), name, most, longest):
            sys.stdout.write(part + "\n")
        sys.stdout.flush()
    except MemoryError:
        _refuse("body: too complex")
    except (ValueError, RecursionError) as error:
        _refuse(f"{error}" if isinstance(error, _PartError) else f"body: Invalid JSON: {error}")


class _PartError(ValueError):
    """A part is not as it should be."""


def _refuse(reason: str) -> None:
    sys.stdout.write(json.dumps(reason) + "\n")
    sys.stdout.flush()


def _parts(body: Any, name: str, most: int, longest: int) -> Iterator[str]:
    entries = body.get(name) if isinstance(body, dict) else None
    if not isinstance(entries, list):
        entries = []  # whatever is wrong is found in the first part
    elif len(entries) > most:
        raise _PartError(f"{name}: List should have at most {most} items")
    else:
        body[name] = entries[:1]
    yield _part("body", body, longest)
    for start in range(0, len(entries), _AT_ONCE):
        yield from _lines(name, start, entries[start : start + _AT_ONCE], longest)


def _lines(name: str, start: int, entries: list[Any], longest: int) -> Iterator[str]:
    """Yield some entries, on one line if it is not too long."""
    line = json.dumps(entries)
    if len(line) <= longest:
        yield line
        return
    for number, entry in enumerate(entries, start):
        yield _part(f"{name}.{number}", [entry], longest)


def _part(place: str, part: Any, longest: int) -> str:
    line = json.dumps(part)
    if len(line) > longest:
        raise _PartError(f"{place}: longer than {longest} characters")
    return line


if __name__ == "__main__":
    run()
