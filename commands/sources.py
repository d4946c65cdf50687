"""The sources that a command is given, and their malformed entries."""

import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from commands.terminal import say
from producer.references import IMAGE_ENDINGS, Entry, ListColumns, MalformedEntry
from producer.sources import STDIN, InputSources
from shared.errors import Code, ResourceError

#: Malformed lines that are shown on a terminal; the others are only counted.
_MALFORMED_ON_TERMINAL = 20


@contextmanager
def open_sources(sources: Sequence[str], columns: ListColumns) -> Iterator[InputSources]:
    """Give the sources, which can be read several times: standard input is copied to a temporary file."""
    if STDIN in sources:
        with _spooled_stdin() as spool:
            yield InputSources(list(sources), columns, spool)
    else:
        yield InputSources(list(sources), columns)


def _spooled_stdin() -> IO[bytes]:
    try:
        spool = tempfile.TemporaryFile()  # noqa: SIM115  # closed by whom it is returned to
        shutil.copyfileobj(sys.stdin.buffer, spool)
    except OSError as error:
        detail = f"standard input, kept in {tempfile.gettempdir()}: {error.strerror}"
        raise ResourceError(Code.SOURCE_UNREADABLE, detail) from error
    return spool


def reporting(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Pass entries on, naming the malformed ones: all of them in a log, the first ones on a terminal."""
    shown = 0
    for entry in entries:
        if isinstance(entry, MalformedEntry):
            shown += 1
            if shown <= _MALFORMED_ON_TERMINAL or not sys.stderr.isatty():
                say(f"left out: {entry}", always=True)
            elif shown == _MALFORMED_ON_TERMINAL + 1:
                say("left out: more; 2>FILE keeps them all", always=True)
        yield entry


def what_was_looked_for(sources: Sequence[str]) -> str:
    """Say where no reference was found, and what would have been one."""
    names = ", ".join(sources)
    if any(Path(source).is_dir() for source in sources):
        kinds = f"end in {', '.join(IMAGE_ENDINGS)}; or else Parquet files, as parts of a list"
        return f"{names}; of a folder, files are taken that {kinds}"
    if any(source.lower().endswith((".warc", ".warc.gz")) for source in sources):
        return f"{names}; of a WARC file, images are taken that came with HTTP status 200"
    return names
