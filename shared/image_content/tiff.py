"""The first directory of a TIFF (TIFF 6.0, section 2), which is also how EXIF is written."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

_ORDERS: dict[bytes, Literal["little", "big"]] = {b"II": "little", b"MM": "big"}
_TIFF, _BIG_TIFF = 42, 43
_ORIENTATION = 0x0112
_UPRIGHT = 1
#: Sizes of the numeric types that an orientation is written in: BYTE, SHORT, LONG.
_SIZES = {1: 1, 3: 2, 4: 4}
#: Tags without which the picture could not be drawn or would look different.
_DRAWING = {
    *(256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, 320, 332, 334),
    *(322, 323, 324, 325, 338, 339, 347, *range(512, 522), 529, 530, 531, 532, 559, 50674),
}


class _Directory(NamedTuple):
    """Where a directory begins, the bytes of its count and of an entry, and how many entries there are."""

    order: Literal["little", "big"]
    start: int
    count_size: int
    entry_size: int
    entries: int

    @property
    def offset_size(self) -> int:
        """Bytes of an offset, and of a value that stands in its entry."""
        return self.count_size if self.count_size == 8 else 4

    def each(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the tag of each entry, and the entry."""
        first = self.start + self.count_size
        for at in range(first, first + self.entries * self.entry_size, self.entry_size):
            entry = data[at : at + self.entry_size]
            yield int.from_bytes(entry[:2], self.order), entry


def orientation_of(exif: bytes) -> int:
    """Return the orientation in EXIF, 1 to 8; 1, which means upright, if it is missing or damaged."""
    exif = exif.removeprefix(b"Exif\0\0")
    directory = _first_directory(exif)
    if directory is None:
        return _UPRIGHT
    entry = next((entry for tag, entry in directory.each(exif) if tag == _ORIENTATION), b"")
    size = _SIZES.get(int.from_bytes(entry[2:4], directory.order), 0)
    value = entry[-directory.offset_size :][:size]
    return int.from_bytes(value, directory.order) or _UPRIGHT


def tiff_content(data: bytes) -> bytes:
    """Return a TIFF with the first picture alone, and nothing in its directory that does not draw it."""
    directory = _first_directory(data)
    if directory is None:
        return data
    kept = [entry for tag, entry in directory.each(data) if tag in _DRAWING]
    count = len(kept).to_bytes(directory.count_size, directory.order)
    reduced = b"".join((count, *kept, bytes(directory.offset_size)))
    content = bytearray(data)
    content[directory.start : directory.start + len(reduced)] = reduced
    return bytes(content)


def _first_directory(data: bytes) -> _Directory | None:
    order = _ORDERS.get(data[:2])
    if order is None:
        return None
    version = int.from_bytes(data[2:4], order)
    if version not in (_TIFF, _BIG_TIFF):
        return None
    big = version == _BIG_TIFF
    start = int.from_bytes(data[8:16] if big else data[4:8], order)
    count_size, entry_size = (8, 20) if big else (2, 12)
    count = int.from_bytes(data[start : start + count_size], order)
    room = max(0, len(data) - start - count_size) // entry_size
    return _Directory(order, start, count_size, entry_size, min(count, room))
