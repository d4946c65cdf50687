"""What of a JPEG draws its first picture (ITU-T T.81, annex B).

Comments, profiles, previews and further pictures are skipped unread, whatever they say.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shared.errors import Code, ItemError
from shared.image_content.tiff import orientation_of

_START, END = b"\xff\xd8", b"\xff\xd9"
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN = 0xD8, 0xD9, 0xDA
_APP0, _APP1, _APP14 = 0xE0, 0xE1, 0xEE
#: Frame headers: of these bytes, three mean other segments (table B.1).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: Frames, and the tables and lengths that scans need.
_DRAWING = _FRAMES | {0xC4, 0xCC, 0xDB, 0xDC, 0xDD}
#: Markers without a length.
_BARE = frozenset(range(0xD0, 0xD8)) | {0x01}
_MARKER = re.compile(rb"\xff[^\x00\xff]")
#: What ends the coded data of a scan: no stuffed zero, no restart, no byte that is not a marker.
_AFTER_SCAN = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
#: A progressive JPEG is decoded once per scan; encoders write about ten, an attacker thousands.
_MAX_SCANS = 50
#: Bytes of the beginning of a frame header, up to the number of components; and of the longest scan header.
_FRAME_HEADER, _SCAN_HEADER = 9, 12
_COEFFICIENTS = 64
_EXIF = b"Exif\0\0"
_JFIF = b"\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
#: Bytes of an Adobe segment that name the colour space.
_ADOBE_SIZE = 16
#: Equal bytes at the end of data that was cut: not data, but room reserved for a download.
_PADDING = 64

_USUAL_FRAMES = (0xC0, 0xC1, 0xC2)
_UNUSUAL_FRAMES = {0xC3: "lossless JPEG", 0xC9: "arithmetic-coded JPEG", 0xCA: "arithmetic-coded JPEG"}


class _Frame(NamedTuple):
    marker: int
    bits: int
    components: int


class _Segment(NamedTuple):
    """A marker, and where its segment begins and ends; that of a scan includes the coded data."""

    marker: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class JpegContent:
    """The first picture of a JPEG, without its end marker; ``ended`` tells whether the file has one.

    ``is_sent``: all coefficients are there as far as the headers of the scans say; the last one's data may
    be cut.
    """

    data: bytes
    orientation: int
    ended: bool
    is_sent: bool
    frame: _Frame

    @property
    def unusual(self) -> str | None:
        """What kind of JPEG it is, if not one of those that every program shows."""
        marker, bits, components = self.frame
        if marker not in _USUAL_FRAMES:
            return _UNUSUAL_FRAMES.get(marker, "hierarchical JPEG")
        if bits != 8:
            return f"{bits}-bit JPEG"
        return None if components in (1, 3, 4) else f"JPEG of {components} components"


def jpeg_content(data: bytes) -> JpegContent | None:
    """Return what draws the first picture, or None if nothing does.

    Raises ``ItemError(image_corrupt)`` if it has more scans than any encoder writes.
    """
    pieces: list[bytes] = []
    frames: list[bytes] = []
    scans: list[bytes] = []
    orientations: list[int] = []
    marker = 0
    for marker, start, end in _segments(data):
        pieces.append(_drawing(marker, data[start:end]))
        if marker in _FRAMES:
            frames.append(data[start + 1 : end])
        elif marker == _START_OF_SCAN:
            scans.append(data[start + 4 : start + 4 + _SCAN_HEADER])
        elif marker == _APP1 and data.startswith(_EXIF, start + 4):
            orientations.append(orientation_of(data[start + 4 : end]))
        if len(scans) > _MAX_SCANS:
            raise ItemError(Code.IMAGE_CORRUPT, f"more than {_MAX_SCANS} scans")
    if not frames or len(frames[0]) < _FRAME_HEADER or not scans:
        return None
    frame = _Frame(frames[0][0], frames[0][3], frames[0][8])
    ended = marker == _END_OF_IMAGE
    content = b"".join((_START, *pieces)).rstrip(b"" if ended else b"\xff")
    is_sent = _all_sent(scans, frame.components) and not content.endswith(content[-1:] * _PADDING)
    return JpegContent(content, (*orientations, 1)[0], ended, is_sent, frame)


def _segments(data: bytes) -> Iterator[_Segment]:
    """Yield the segments up to the end of the first picture, or of the file."""
    at, scanned = 2, False
    while found := _MARKER.search(data, at):
        start, at, marker = found.start(), found.end(), found[0][1]
        if marker in _BARE or (marker == _START_OF_IMAGE and not scanned):
            continue
        if marker in (_START_OF_IMAGE, _END_OF_IMAGE):
            if marker == _END_OF_IMAGE:
                yield _Segment(marker, start, at)
            return
        end = at + max(2, int.from_bytes(data[at : at + 2], "big"))
        if end > len(data):
            return
        if marker == _START_OF_SCAN:
            scanned = True
            after = _AFTER_SCAN.search(data, end)
            end = after.start() if after else len(data)
        yield _Segment(marker, start, end)
        at = end


def _drawing(marker: int, segment: bytes) -> bytes:
    """Return a segment as the decoder needs it; nothing if it does not.

    What tells the colour space of JFIF and of Adobe is reduced to that.
    """
    if marker in _DRAWING or marker == _START_OF_SCAN:
        return segment
    if marker == _APP0 and segment.startswith(b"JFIF\0", 4):
        return _JFIF
    if marker == _APP14 and segment.startswith(b"Adobe", 4) and len(segment) >= _ADOBE_SIZE:
        return segment
    return b""


def _all_sent(scans: Sequence[bytes], components: int) -> bool:
    """Tell whether each coefficient of each component is sent down to its last bit (G.1.1.1)."""
    sent: set[tuple[int, int]] = set()
    for scan in scans:
        after = 1 + 2 * int.from_bytes(scan[:1])
        first, last, approximation = scan[after : after + 3].ljust(3, b"\1")
        if approximation & 15 == 0:
            numbers = range(first, min(last, _COEFFICIENTS - 1) + 1)
            sent.update(itertools.product(scan[1:after:2], numbers))
    return len(sent) >= components * _COEFFICIENTS
