"""Where a record stands in its file: as it is, or packed in a gzip member of its own."""

import io
import zlib
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Bytes that are read or unpacked at once.
_BLOCK = 1 << 14
_GZIP = b"\x1f\x8b"
_BLANK_LINES = (b"\r\n", b"\n")


class OneStreamError(Exception):
    """Several records share a gzip member, so that none of them can be found by its offset."""


class RecordSource(Protocol):
    """A place in a file at which records may be."""

    @property
    def stream(self) -> IO[bytes]:
        """What is there."""
        ...

    def end(self) -> int:
        """Return the offset behind the record that was just read, and the blank lines after it."""
        ...


class PlainSource:
    """A place in a file that is not packed."""

    def __init__(self, file: IO[bytes]) -> None:
        self.stream = file

    def end(self) -> int:
        """See ``RecordSource``."""
        while (line := self.stream.readline(_BLOCK)) in _BLANK_LINES:
            pass
        return self.stream.tell() - len(line)


class GzipMember:
    """The gzip member that begins where a file stands. Reading raises ``EOFError`` if it breaks off."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._unpacking = _Unpacking(file)
        self.stream: IO[bytes] = io.BufferedReader(self._unpacking, _BLOCK)

    def end(self) -> int:
        """Raise ``OneStreamError`` if more follows than the blank lines after a record."""
        while rest := self.stream.read(_BLOCK):
            if rest.strip():
                raise OneStreamError("several records share a gzip member")
        return self._file.tell() - len(self._unpacking.gzip.unused_data)


class _Unpacking(io.RawIOBase):
    """What a gzip member holds: never more at once than is asked for."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.gzip = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def readable(self) -> bool:
        """See ``io.IOBase``."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """See ``io.RawIOBase``."""
        view = memoryview(buffer).cast("B")
        unpacked = b""
        while not unpacked and not self.gzip.eof:
            unpacked = self.gzip.decompress(self._packed(), len(view))
        view[: len(unpacked)] = unpacked
        return len(unpacked)

    def _packed(self) -> bytes:
        packed = self.gzip.unconsumed_tail or self._file.read(_BLOCK)
        if not packed:
            raise EOFError
        return packed


def source_at(file: IO[bytes], offset: int) -> RecordSource:
    """Return what begins at an offset."""
    file.seek(offset)
    magic = file.read(len(_GZIP))
    file.seek(offset)
    return GzipMember(file) if magic == _GZIP else PlainSource(file)
