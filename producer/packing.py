"""Unpack lists as they are read: gzip, bzip2 and xz, piece by piece, so that memory use has a limit."""

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Packed bytes read at a time: each stream in them copies what follows it.
_PIECE = 1 << 13
#: Bytes that unpacking xz may take: as many as its strongest preset needs, and some.
_XZ_MEMORY = 96 << 20
#: What may follow an xz stream (https://tukaani.org/xz/xz-file-format.txt, section 2.2).
_PADDING = b"\0"


class _Decompressor(Protocol):
    """One stream, as the standard library unpacks it."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def unpacked(file: IO[bytes], packing: str) -> IO[bytes]:
    """Return the content of a file whose packing has this ending; one of "" is returned as it is.

    Reading raises ``OSError`` or ``EOFError`` if it is damaged or incomplete.
    """
    if not packing:
        return file
    if packing == ".gz":
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    new = bz2.BZ2Decompressor if packing == ".bz2" else _new_xz
    return io.BufferedReader(_Unpacked(file, new))


def _new_xz() -> _Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY)


class _Unpacked(io.RawIOBase):
    """The content of streams one after another."""

    def __init__(self, file: IO[bytes], new: Callable[[], _Decompressor]) -> None:
        self._file = file
        self._new = new
        self._stream = new()

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill a buffer with unpacked bytes."""
        view = memoryview(buffer).cast("B")
        unpacked = b""
        while not unpacked:
            packed = self._packed()
            if packed is None:
                return 0
            try:
                unpacked = self._stream.decompress(packed, len(view))
            except lzma.LZMAError as error:
                raise OSError(str(error)) from error
        view[: len(unpacked)] = unpacked
        return len(unpacked)

    def _packed(self) -> bytes | None:
        """Return what the stream needs, which may be nothing, beginning the next one; None at the end."""
        if not self._stream.eof:
            packed = self._file.read(_PIECE) if self._stream.needs_input else b""
            if self._stream.needs_input and not packed:
                raise EOFError("it ends too early")
            return packed
        packed = self._stream.unused_data.lstrip(_PADDING)
        while not packed:
            piece = self._file.read(_PIECE)
            if not piece:
                return None
            packed = piece.lstrip(_PADDING)
        self._stream = self._new()
        return packed
