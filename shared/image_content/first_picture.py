"""Reduce an image file to what draws its first picture, so that nothing else can make it fail.

Text, profiles, previews, later frames and whatever is appended are skipped unread: their lengths are
followed, their content is not looked at. Nothing is judged here: a file in which no picture is found stays as
it is, and the decoder says what is wrong with it.
"""

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from shared.image_content.jpeg import END, jpeg_content
from shared.image_content.tiff import orientation_of, tiff_content


@dataclass(frozen=True, slots=True)
class FirstPicture:
    """A file with one picture; ``orientation`` is that of EXIF (1 to 8), or None if the decoder knows it.

    ``unusual`` names a kind of the format that the decoder may not know. ``complete`` is False if a part is
    missing that the decoder would not miss, and None if only the pixels can tell.
    """

    data: bytes
    orientation: int | None = 1
    unusual: str | None = None
    complete: bool | None = True


def first_picture(data: bytes, kind: str) -> FirstPicture:
    """Return the first picture in a file of this format, a name of ``shared.image_signatures``."""
    find = _FINDERS.get(kind)
    return (find(data) if find else None) or FirstPicture(data)


def _jpeg(data: bytes) -> FirstPicture | None:
    content = jpeg_content(data)
    if content is None:
        return None
    complete = True if content.ended else None if content.is_sent else False
    return FirstPicture(content.data + END, content.orientation, content.unusual, complete)


_PNG_SIGNATURE_SIZE = 8
#: Bytes of a PNG chunk besides its content: length and name before it, checksum after it.
_CHUNK_HEAD, _CHUNK_SIZE = 8, 12
_IEND = b"\0\0\0\0IEND\xaeB\x60\x82"
#: Where a header chunk has its colour type.
_COLOUR_TYPE = 17
_PALETTE = 3
#: Lengths of a PNG's transparent colour or colours, by colour type.
_TRANSPARENT = {0: range(2, 3), 2: range(6, 7), _PALETTE: range(1, 257)}


def _png(data: bytes) -> FirstPicture | None:
    """Keep the chunks that draw (PNG 1.2, section 4); of an animation, the default image."""
    pieces, orientation, colour, end = [data[:_PNG_SIGNATURE_SIZE]], 1, -1, 0
    drawn = False
    for name, start, end in _png_chunks(data):
        size = end - start - _CHUNK_SIZE
        if name == b"IHDR":
            colour = int.from_bytes(data[start + _COLOUR_TYPE : start + _COLOUR_TYPE + 1])
        if name == b"eXIf" and _is_sound(data, start, end):
            orientation = orientation_of(data[start + _CHUNK_HEAD : end])
        sound = name != b"tRNS" or (size in _TRANSPARENT.get(colour, ()) and _is_sound(data, start, end))
        if name in (b"IHDR", b"IDAT", b"tRNS") or (name == b"PLTE" and colour == _PALETTE):
            pieces += [data[start:end]] if sound else []
            drawn = drawn or name == b"IDAT"
    # What is cut stays cut: the decoder decides whether all rows are there.
    pieces += [_IEND] if end <= len(data) else []
    return FirstPicture(b"".join(pieces), orientation) if drawn else None


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, beginning and end of each chunk; the last one's end may be missing."""
    at = _PNG_SIGNATURE_SIZE
    while at + _CHUNK_HEAD < len(data):
        name, end = data[at + 4 : at + 8], at + _CHUNK_SIZE + int.from_bytes(data[at : at + 4], "big")
        if name == b"IEND" or not name.isalpha():
            return
        yield name, at, end
        at = end


def _is_sound(data: bytes, start: int, end: int) -> bool:
    """Tell whether a chunk has its checksum."""
    return zlib.crc32(data[start + 4 : end - 4]).to_bytes(4, "big") == data[end - 4 : end]


#: Chunks of WebP that draw, or describe the canvas.
_WEBP_FRAMES = (b"VP8 ", b"VP8L", b"ANMF")
_WEBP_CHUNKS = (*_WEBP_FRAMES, b"VP8X", b"ALPH", b"ANIM", b"ICCP", b"EXIF", b"XMP ")
#: Flags of a canvas: transparency, animation.
_ALPHA, _ANIMATED = 0x10, 0x02


def _webp(data: bytes) -> FirstPicture | None:
    """Build a WebP of the first frame alone (RFC 9649, section 2); the length of the file is not believed."""
    chunks: dict[bytes, bytes] = {}
    for name, start, end in _webp_chunks(data):
        if name in (b"VP8X", b"ALPH", b"ANIM", b"EXIF", *_WEBP_FRAMES):
            chunks.setdefault(name, data[start:end])
    canvas = chunks.get(b"VP8X", b"")
    flags = canvas[0] & (_ALPHA | _ANIMATED) if canvas else 0
    orientation = orientation_of(chunks.get(b"EXIF", b""))
    frame = next((name for name in chunks if name in _WEBP_FRAMES), None)
    if frame is None:
        return None
    names = [frame]
    if frame == b"ANMF":
        names = [b"VP8X", b"ANIM", frame]
    elif frame == b"VP8 " and b"ALPH" in chunks and flags & _ALPHA:
        names = [b"VP8X", b"ALPH", frame]
    chunks[b"VP8X"] = bytes([flags]) + canvas[1:]
    return FirstPicture(_riff([(name, chunks.get(name, b"")) for name in names]), orientation)


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, beginning and end of the content of each chunk; the last one's end may be missing."""
    at = 12
    while at + 8 < len(data):
        name, start = data[at : at + 4], at + 8
        size = int.from_bytes(data[at + 4 : start], "little")
        end = start + size
        yield name, start, end
        # Some programs forget the byte that makes a length even.
        at = end + (size % 2 and data[end : end + 4] not in _WEBP_CHUNKS)


def _riff(chunks: list[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(
        name + len(content).to_bytes(4, "little") + content + bytes(len(content) % 2)
        for name, content in chunks
    )
    return b"RIFF" + (4 + len(body)).to_bytes(4, "little") + b"WEBP" + body


_GIF_HEADER_SIZE = 13
_IMAGE, _EXTENSION, _GRAPHIC_CONTROL, _TRAILER = 0x2C, 0x21, 0xF9, b";"


def _gif(data: bytes) -> FirstPicture | None:
    """Keep the header and the first image with its graphic control (GIF89a, sections 18 to 23)."""
    at = head = _GIF_HEADER_SIZE + _gif_colours(data[10:11])
    control = b""
    while at < len(data):
        if data[at] == _IMAGE:
            start, at = at, at + 10
            end, ended = _after_blocks(data, at + _gif_colours(data[at - 1 : at]) + 1)
            trailer = _TRAILER if ended else b""
            return FirstPicture(b"".join((data[:head], control, data[start:end], trailer)))
        if data[at] == _EXTENSION:
            end, _ = _after_blocks(data, at + 2)
            if data[at + 1 : at + 3] == bytes([_GRAPHIC_CONTROL, 4]):
                control = data[at:end]
            at = end
        else:
            at += 1
    return None


def _gif_colours(flags: bytes) -> int:
    """Return the bytes of a colour table, by the flags before it."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


def _after_blocks(data: bytes, at: int) -> tuple[int, bool]:
    """Return where a series of data blocks ends, and whether its terminator is there."""
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1, at < len(data)


#: Items that do not draw: EXIF and XMP, each an entry with version, id and protection before its type.
_METADATA = re.compile(rb"(infe(?:\x02.{3}.{4}|\x03.{3}.{6}))(?:Exif|mime)", re.DOTALL)
_UNKNOWN_ITEM = rb"\1skip"


def _avif(data: bytes) -> FirstPicture:
    return FirstPicture(_iso_media(data, b"avif", b"avis"), None)


def _heic(data: bytes) -> FirstPicture:
    return FirstPicture(_iso_media(data, b"heic", b"hevc"))


def _iso_media(data: bytes, *brands: bytes) -> bytes:
    """Name a brand first that the decoder knows, and hide EXIF and XMP: pictures say how they are turned."""
    content = data if data[8:12] in brands else data[:8] + brands[0] + data[12:]
    start, end = next(((start, end) for name, start, end in _boxes(data) if name == b"meta"), (0, 0))
    return content[:start] + _METADATA.sub(_UNKNOWN_ITEM, content[start:end]) + content[end:]


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, beginning and end of each box of an ISO media file (ISO/IEC 14496-12, 4.2)."""
    at = 0
    while at + 8 <= len(data):
        size, name, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        end = at + size if size else len(data)
        if end < at + head:
            return
        yield name, at + head, end
        at = end


def _tiff(data: bytes) -> FirstPicture:
    return FirstPicture(tiff_content(data))  # the decoder turns it


_FINDERS: dict[str, Callable[[bytes], FirstPicture | None]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "GIF": _gif,
    "AVIF": _avif,
    "HEIC": _heic,
    "TIFF": _tiff,
}
