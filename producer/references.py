"""Read image references from what the user names: files, URLs, folders and lists."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from producer.entries import Entry, ListColumns, MalformedEntry, checked
from producer.lists import is_list, read_list

#: Endings of the files that are taken from a folder.
IMAGE_ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif"),
    *(".bmp", ".dib", ".avif", ".tif", ".tiff", ".heic", ".heif"),
)


@dataclass(frozen=True)
class InputSources:
    """What the user named; ``stdin`` is a seekable copy of standard input, where ``-`` is among it."""

    names: list[str]
    columns: ListColumns = field(default_factory=ListColumns)
    stdin: IO[bytes] | None = None


def read_sources(sources: InputSources) -> Iterator[Entry]:
    """Yield the references of all sources, one after another, as they are read.

    Raises ``UsageError`` with ``source_not_found`` or ``column_unknown``, or
    ``ResourceError(source_unreadable)``, when it comes to such a source.
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

    Hidden files and folders are left out, links to folders are not followed, and a folder that cannot
    be read is one malformed entry.
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
