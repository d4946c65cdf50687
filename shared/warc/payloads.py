"""Undo how the content of an answer was encoded on its way: in chunks, compressed, or both.

Everything goes piece by piece, so that content which unpacks to any size takes the memory of one piece.
Many crawlers undo the encodings and leave the headers that speak of them: content tells whether they did.
"""

import re
import zlib
from collections.abc import Iterator
from typing import Protocol

from shared.signatures import announced_format

#: Longest piece, in bytes.
_PIECE = 1 << 16
#: The first piece is no shorter, in bytes, if there are as many: enough to know a format by.
_HEAD = 16
#: Longest line between two chunks, in bytes.
_MAX_LINE = 1 << 12
#: A chunk's size and whatever else the line says. RFC 9112, section 7.1.
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?\r?\n")
_RAW_DEFLATE = -zlib.MAX_WBITS


class Body(Protocol):
    """A stream that ends where the record does."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes, none at the end."""
        ...

    def readline(self, size: int, /) -> bytes:
        """Return a line, or so many bytes of it, none at the end."""
        ...


class UndecodableError(Exception):
    """Content is not encoded as its headers say, or in a way that is not known here."""


def pieces(body: Body, size: int | None = None) -> Iterator[bytes]:
    """Yield what is left in a stream, or the next ``size`` bytes of it."""
    left = size
    while left != 0 and (piece := body.read(_PIECE if left is None else min(_PIECE, left))):
        left = None if left is None else left - len(piece)
        yield piece


def decoded(body: Body, transfer_encoding: str, content_encoding: str) -> Iterator[bytes]:
    """Yield the content of an answer with these headers; raise ``UndecodableError`` where it is damaged.

    Content that breaks off just ends: what it holds knows best whether that matters.
    """
    is_chunked = transfer_encoding.lower().endswith("chunked")
    received = _with_head(_dechunked(body) if is_chunked else pieces(body))
    return _with_head(_unpacked(received, content_encoding.strip().lower()))


def _with_head(received: Iterator[bytes]) -> Iterator[bytes]:
    head = b""
    for piece in received:
        head += piece
        if len(head) >= _HEAD:
            break
    if head:
        yield head
        yield from received


def _dechunked(body: Body) -> Iterator[bytes]:
    line = body.readline(_MAX_LINE)
    if not _CHUNK_SIZE.fullmatch(line):
        yield line
        yield from pieces(body)
        return
    while size := _chunk_size(line):
        yield from pieces(body, size)
        body.readline(_MAX_LINE)
        line = body.readline(_MAX_LINE)


def _chunk_size(line: bytes) -> int:
    match = _CHUNK_SIZE.fullmatch(line)
    if line and not match:
        raise UndecodableError("its chunks are damaged")
    return int(match[1], 16) if match else 0


def _unpacked(received: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    head = next(received, b"")
    window = _window(head, encoding)
    if window is None:
        yield head
        yield from received
        return
    unpacker = zlib.decompressobj(window)
    yield from _unpack(unpacker, head)
    for piece in received:
        yield from _unpack(unpacker, piece)


def _window(head: bytes, encoding: str) -> int | None:
    """Return which of zlib's formats content is in, by its head and its header; None if it is in none."""
    if encoding in ("", "identity") or announced_format(head):
        return None
    if encoding in ("gzip", "x-gzip"):
        return zlib.MAX_WBITS | 16 if head.startswith(b"\x1f\x8b") else None
    if encoding == "deflate":
        # The standard means zlib's format; some hosts send what it wraps. RFC 9110, section 8.4.1.2.
        return zlib.MAX_WBITS if _is_zlib(head) else _RAW_DEFLATE
    raise UndecodableError(f"the content encoding {encoding!r} is not supported")


def _is_zlib(head: bytes) -> bool:
    return len(head) > 1 and head[0] & 15 == zlib.DEFLATED and int.from_bytes(head[:2], "big") % 31 == 0


def _unpack(unpacker: "zlib._Decompress", piece: bytes) -> Iterator[bytes]:
    while piece and not unpacker.eof:
        try:
            yield unpacker.decompress(piece, _PIECE)
        except zlib.error as error:
            raise UndecodableError("its compression is damaged") from error
        piece = unpacker.unconsumed_tail
