"""Put a list that came in pieces into a file, unpacked, and no further than a limit."""

import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO

from shared.errors import Code, UsageError

#: Bytes that are unpacked at a time.
_STEP = 1 << 20
#: zlib's word for the gzip format (https://zlib.net/manual.html#Advanced, inflateInit2).
_GZIP = 16 + zlib.MAX_WBITS


@contextmanager
def spooled(pieces: Iterable[bytes]) -> Iterator[IO[bytes]]:
    """Give a list as a file that vanishes: formats want to look here and there in it."""
    with tempfile.TemporaryFile() as spool:
        spool.writelines(pieces)
        spool.seek(0)
        yield spool


def plain_name(name: str) -> str:
    """Return what a list is called when it is unpacked."""
    return name.removesuffix(".gz")


def unpacked(name: str, pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Yield a list as it is, or what is packed in it if its name ends in ``.gz``.

    Raises ``UsageError`` with ``body_too_large`` if it is longer than the limit, or with
    ``source_unreadable`` if it is no proper gzip file.
    """
    size = 0
    for piece in _gunzipped(name, pieces) if name.endswith(".gz") else pieces:
        size += len(piece)
        if size > limit:
            raise too_large(name, limit)
        yield piece


def too_large(name: str, limit: int) -> UsageError:
    """Return the failure of a list that unpacks to more than a limit."""
    return UsageError(Code.BODY_TOO_LARGE, f"{name}: more than {limit} bytes when it is unpacked")


def _gunzipped(name: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
    member = zlib.decompressobj(_GZIP)
    try:
        for piece in pieces:
            rest = piece
            while rest:
                if member.eof:  # gzip files may be put one behind the other
                    member = zlib.decompressobj(_GZIP)
                yield member.decompress(rest, _STEP)
                rest = member.unconsumed_tail or member.unused_data
    except zlib.error as error:
        raise UsageError(Code.SOURCE_UNREADABLE, f"{name}: {error}") from error
    if not member.eof:
        raise UsageError(Code.SOURCE_UNREADABLE, f"{name}: it breaks off before its end")
