"""Read image references from what the user names: files, URLs, folders and lists.

Lists are text, JSON, Parquet, WARC, and standard input. They are streamed: memory use does not depend on
their length.
"""

import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from producer.binary_lists import read_parquet, read_warc
from producer.json_lists import read_json, read_text_or_json
from producer.packing import unpacked
from producer.references import IMAGE_ENDINGS, Entry, ListColumns, MalformedEntry, checked
from producer.text_lists import read_csv, read_tsv
from shared.errors import Code, ResourceError, UsageError, printable
from shared.list_formats import KNOWN, PARQUET, WARC, ListFormat, advice, format_of
from shared.warc import is_warc_reference

#: Standard input, read as a txt list.
STDIN = "-"


@dataclass(frozen=True)
class InputSources:
    """The sources that the user named; ``stdin`` is a seekable copy of standard input, if ``-`` is one."""

    names: list[str]
    columns: ListColumns = field(default_factory=ListColumns)
    stdin: IO[bytes] | None = None


def read_sources(sources: InputSources) -> Iterator[Entry]:
    """Yield the references of all sources in order, while reading.

    Raises ``UsageError`` with ``source_not_found`` or ``column_unknown``, or
    ``ResourceError(source_unreadable)``, on reaching such a source.
    """
    for name in sources.names:
        if os.path.isdir(name) and name != STDIN:
            yield from _read_parts(name, sources.columns) if _has_parts(name) else read_folder(name)
        elif is_list(name):
            yield from read_list(name, sources.columns, sources.stdin)
        else:
            _check_no_list(name)
            yield checked(name, name)


def _check_no_list(name: str) -> None:
    """Raise ``UsageError(source_unreadable)`` if a file is a list that is not read, not an image."""
    advised = advice(name) if _is_file_name(name) else None
    if advised:
        raise UsageError(Code.SOURCE_UNREADABLE, f"{name}: it is {advised}. Lists that are read: {KNOWN}")


def read_folder(folder: str) -> Iterator[Entry]:
    """Yield the image files below a folder, by their endings, in a fixed order.

    Hidden files and folders are skipped. A link to a folder, which is not followed, and an unreadable folder
    are malformed entries.
    """
    for found in _files(folder):
        if isinstance(found, MalformedEntry):
            yield found
        elif found.lower().endswith(IMAGE_ENDINGS):
            yield checked(found, found)


def _read_parts(folder: str, columns: ListColumns) -> Iterator[Entry]:
    for found in _files(folder):
        if isinstance(found, MalformedEntry):
            yield found
        elif _is_part(found, folder):
            yield from read_list(found, columns)


def _has_parts(folder: str) -> bool:
    """Tell whether a folder is a list in parts, as Spark writes them: Parquet files, and no image."""
    has_part = False
    for found in _files(folder):
        if isinstance(found, str):
            if found.lower().endswith(IMAGE_ENDINGS):
                return False
            has_part = has_part or _is_part(found, folder)
    return has_part


def _is_part(path: str, folder: str) -> bool:
    """Tell whether a file is a part of a list: what begins with an underscore is about the parts."""
    listed = format_of(path)
    return listed is not None and listed.ending == PARQUET and f"{os.sep}_" not in path[len(folder) :]


def _files(folder: str) -> Iterator[str | MalformedEntry]:
    """Yield the files below a folder that are not hidden, in a fixed order, and the folders left out."""
    unreadable: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (os.path.join(parent, name) for name in folders):
            if Path(path).is_symlink():
                yield MalformedEntry(printable(path), None, "a link to a folder, which is not followed")
        yield from (os.path.join(parent, name) for name in sorted(files) if not name.startswith("."))
    for error in unreadable:
        yield MalformedEntry(printable(str(error.filename)), None, error.strerror or "it cannot be read")


def is_list(source: str) -> bool:
    """Tell by its name whether a source is a list."""
    return source == STDIN or (_is_file_name(source) and _format(source) is not None)


def _is_file_name(source: str) -> bool:
    return "://" not in source and not is_warc_reference(source)


def read_list(source: str, columns: ListColumns, stdin: IO[bytes] | None = None) -> Iterator[Entry]:
    """Yield the entries of a list in order; ``-`` reads ``stdin`` from its start.

    Raises ``UsageError`` with ``source_not_found`` or ``column_unknown``, and
    ``ResourceError(source_unreadable)`` if the list cannot be read completely.
    """
    listed = _format(source)
    assert listed, "it is a list"
    with translated(source), _open(source, stdin) as file:
        yield from _READERS[listed.ending](source, unpacked(file, listed.packing), columns)


def read_stream(name: str, file: IO[bytes], columns: ListColumns) -> Iterator[Entry]:
    """Yield the entries of an open, unpacked list; the ending of its name is the format.

    Raises as ``read_list``.
    """
    listed = _format(name)
    assert listed, "it is a list"
    with translated(name):
        yield from _READERS[listed.ending](name, file, columns)


def _format(source: str) -> ListFormat | None:
    """Return the format of a list; records of WARC are gzipped one by one, so its reader unpacks them."""
    if source == STDIN:
        return ListFormat(".txt")
    is_warc = source.lower().removesuffix(".gz").endswith(WARC)
    return ListFormat(WARC) if is_warc else format_of(source)


def _open(source: str, stdin: IO[bytes] | None) -> AbstractContextManager[IO[bytes]]:
    if source == STDIN and stdin is not None:
        stdin.seek(0)
        return nullcontext(stdin)
    if not stat.S_ISREG(Path(source).stat().st_mode):
        raise OSError("it is not a regular file, and a list is read twice: pipe it to `-` instead")
    return Path(source).open("rb")


@contextmanager
def translated(source: str) -> Iterator[None]:
    """Raise what reading a list raises as ``SmartSightError``."""
    try:
        yield
    except FileNotFoundError as error:
        raise UsageError(Code.SOURCE_NOT_FOUND, source) from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ResourceError(Code.SOURCE_UNREADABLE, f"{source}: {reason}") from error


_READERS: dict[str, Callable[[str, IO[bytes], ListColumns], Iterator[Entry]]] = {
    ".txt": read_text_or_json,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".jsonl": read_json,
    PARQUET: read_parquet,
    WARC: read_warc,
}
