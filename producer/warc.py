"""Read WARC files: every image that a crawl brought home is a reference to its record."""

from collections.abc import Iterator
from typing import IO

from producer.entries import Entry, ListColumns, MalformedEntry, checked
from shared.errors import printable
from shared.signatures import announced_format
from shared.warc.members import OneStreamError
from shared.warc.payloads import UndecodableError
from shared.warc.records import DamagedError, Record, read_records
from shared.warc.references import WarcReference

#: Pages that the signatures know, too: crawls are full of them, and nobody means them.
_DOCUMENTS = ("PDF", "EPS")


def read_warc(source: str, file: IO[bytes], _columns: ListColumns) -> Iterator[Entry]:
    """Yield the images in a WARC file in its order.

    What follows damage cannot be found: it is one malformed entry. A file that is of no use at all raises
    ``OSError``, as an unreadable one does.
    """
    empty = True
    try:
        for entry in _read(source, file):
            empty = False
            if entry:
                yield entry
        if empty:
            raise OSError("it is empty")
    except OneStreamError as error:
        detail = "it is gzipped as a whole, not record by record; `warcio recompress OLD NEW` makes it usable"
        raise OSError(detail) from error
    except DamagedError as damage:
        if damage.offset == 0:
            raise OSError(f"{damage}; is it a WARC file?") from damage
        yield MalformedEntry(_place(source, damage.offset), None, f"{damage}; nothing after it can be read")


def _read(source: str, file: IO[bytes]) -> Iterator[Entry | None]:
    """Yield an entry for each whole record that holds an image, and None for each of the others."""
    for record in read_records(file):
        held = record.has_content and _is_image(record)
        record.finish()
        ref = str(WarcReference(source, record.offset, record.uri))
        yield checked(ref, _place(source, record.offset)) if held else None


def _is_image(record: Record) -> bool:
    """Tell whether it is an image, or was meant to be one: then its result says what is wrong with it."""
    return record.media_type.lower().startswith("image/") or _announced(record) not in (None, *_DOCUMENTS)


def _announced(record: Record) -> str | None:
    try:
        return announced_format(next(record.payload(), b""))
    except UndecodableError:
        return None


def _place(source: str, offset: int) -> str:
    return printable(f"{source}, byte {offset}")
