"""Read image references from what the user names: files, URLs, folders and lists.

Lists are txt, csv, tsv, jsonl, WARC (each also gzipped), Parquet, and standard input. They are streamed:
memory use does not depend on their length.
"""

import csv
import gzip
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from producer.binary_lists import read_parquet, read_warc
from producer.references import Entry, ListColumns, MalformedEntry, checked
from producer.text_lists import read_csv, read_jsonl, read_text, read_tsv
from shared.errors import Code, ResourceError, UsageError
from shared.warc import is_warc_reference

#: Standard input, read as a txt list.
STDIN = "-"
#: Records are gzipped one by one, so its reader unpacks them.
_WARC = ".warc"
_PARQUET = ".parquet"
#: Endings of image files in folders.
IMAGE_ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif"),
    *(".bmp", ".dib", ".avif", ".tif", ".tiff", ".heic", ".heif"),
)


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
        if is_list(name):
            yield from read_list(name, sources.columns, sources.stdin)
        elif os.path.isdir(name):
            yield from read_folder(name)
        else:
            yield checked(name, name)


def read_folder(folder: str) -> Iterator[Entry]:
    """Yield the image files below a folder, by their endings, in a fixed order.

    Hidden files and folders are skipped, links to folders are not followed, and an unreadable folder is
    one malformed entry.
    """
    unreadable: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if _is_image_name(name):
                path = os.path.join(parent, name)
                yield checked(path, path)
    for error in unreadable:
        yield MalformedEntry(str(error.filename), None, error.strerror or "it cannot be read")


def _is_image_name(name: str) -> bool:
    return not name.startswith(".") and name.lower().endswith(IMAGE_ENDINGS)


def is_list(source: str) -> bool:
    """Tell by its name whether a source is a list."""
    is_one = _ending(source) in _READERS and "://" not in source and not is_warc_reference(source)
    return source == STDIN or is_one


def read_list(source: str, columns: ListColumns, stdin: IO[bytes] | None = None) -> Iterator[Entry]:
    """Yield the entries of a list in order; ``-`` reads ``stdin`` from its start.

    Raises ``UsageError`` with ``source_not_found`` or ``column_unknown``, and
    ``ResourceError(source_unreadable)`` if the list cannot be read completely.
    """
    with _translated(source), _open(source, stdin) as file:
        yield from _READERS[_ending(source)](source, file, columns)


def read_stream(name: str, file: IO[bytes], columns: ListColumns, limit: int) -> Iterator[Entry]:
    """Yield the entries of an open, uncompressed list; the ending of its name is the format.

    Raises as ``read_list``, and ``UsageError(body_too_large)`` if it unpacks to more than the
    limit.
    """
    with _translated(name):
        if _ending(name) == _PARQUET:
            yield from read_parquet(name, file, columns, limit)
        else:
            yield from _READERS[_ending(name)](name, file, columns)


def _ending(source: str) -> str:
    """Return the ending that names the format; of a gzipped list, the one before ``.gz``."""
    if source == STDIN:
        return ".txt"
    stem, ending = os.path.splitext(source.lower())
    inner = os.path.splitext(stem)[1]
    return inner if ending == ".gz" and inner != _PARQUET else ending


def _open(source: str, stdin: IO[bytes] | None) -> AbstractContextManager[IO[bytes]]:
    if source == STDIN and stdin is not None:
        stdin.seek(0)
        return nullcontext(stdin)
    if not stat.S_ISREG(Path(source).stat().st_mode):
        raise OSError("it is not a regular file, and a list is read twice: pipe it to `-` instead")
    if source.lower().endswith(".gz") and _ending(source) != _WARC:
        return cast(IO[bytes], gzip.open(source, "rb"))
    return Path(source).open("rb")


@contextmanager
def _translated(source: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise UsageError(Code.SOURCE_NOT_FOUND, source) from error
    except csv.Error as error:
        detail = f"{source}: it is not a table with one row per line; are its line ends LF or CRLF?"
        raise ResourceError(Code.SOURCE_UNREADABLE, detail) from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ResourceError(Code.SOURCE_UNREADABLE, f"{source}: {reason}") from error


_READERS: dict[str, Callable[[str, IO[bytes], ListColumns], Iterator[Entry]]] = {
    ".txt": read_text,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".jsonl": read_jsonl,
    _PARQUET: read_parquet,
    _WARC: read_warc,
}
