"""The sources that a command is given, and what in them is no reference."""

import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from commands.terminal import say
from producer.references import Entry, ListColumns, MalformedEntry
from producer.sources import IMAGE_ENDINGS, STDIN, InputSources
from shared.errors import Code, ResourceError

#: Malformed lines that are shown on a terminal; the others are only counted.
_MALFORMED_ON_TERMINAL = 20


@contextmanager
def open_sources(options: Namespace) -> Iterator[InputSources]:
    """Give the sources, to be read as often as need be: standard input is copied to a file that vanishes."""
    columns = ListColumns(options.column, options.id_column)
    if STDIN in options.sources:
        with _spooled_stdin() as spool:
            yield InputSources(options.sources, columns, spool)
    else:
        yield InputSources(options.sources, columns)


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


def what_was_looked_for(sources: list[str]) -> str:
    """Say where no reference was found, and what would have been one."""
    names = ", ".join(sources)
    if any(Path(source).is_dir() for source in sources):
        return f"{names}; of a folder, files are taken that end in {', '.join(IMAGE_ENDINGS)}"
    if any(source.lower().endswith((".warc", ".warc.gz")) for source in sources):
        return f"{names}; of a WARC file, images are taken that came with HTTP status 200"
    return names
