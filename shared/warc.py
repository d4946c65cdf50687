"""Read WARC files: all records in order, or one by its offset, as plain text or one gzip member a record.

warcio parses the headers. The boundaries of records are determined here: warcio's own reader takes damage
for the end of the file, and unpacks a whole member or chunk at once. Everything here is read
piece by piece, so memory use does not depend on the unpacked size.

The format: https://iipc.github.io/warc-specifications/
"""

import io
import re
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Protocol

from shared.image_signatures import format_from_signature

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Eighteen digits are larger than any file, and small enough for every system to seek to.
_FORM = re.compile(r"([^:]*\.warc(?:\.gz)?):([0-9]{1,18}):(.*)", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WarcReference:
    """The file and offset of a record, and its URI."""

    path: str
    offset: int
    uri: str

    def __str__(self) -> str:
        path = self.path.replace("%", "%25").replace(":", "%3A")
        return f"{path}:{self.offset}:{self.uri}"


def is_warc_reference(ref: str) -> bool:
    """Tell whether a reference names a WARC record; a URL never does."""
    return _FORM.fullmatch(ref) is not None


def parse_warc_reference(ref: str) -> WarcReference | None:
    """Return the record that a reference names, or None."""
    match = _FORM.fullmatch(ref)
    if match is None:
        return None
    path, offset, uri = match.groups()
    return WarcReference(path.replace("%3A", ":").replace("%25", "%"), int(offset), uri)


#: Bytes read or unpacked at once.
_BLOCK = 1 << 14
_GZIP = b"\x1f\x8b"
#: What may follow a record: blank lines, and the zero bytes that some crawlers write.
_FILLER = b"\r\n\0 \t"
#: How a record begins, and where another one does.
_FIRST = b"WARC/"
_RECORD = re.compile(rb"[\r\n\0 \t]WARC/[0-9]")
#: By how many bytes a record may be longer than it says, where only the next record shows that it is: no
#: record fits into them.
_SURPLUS = 16


class OneStreamError(Exception):
    """Several records share a gzip member, so their offsets are unknown."""


class RecordSource(Protocol):
    """A position in a file at which records may begin."""

    @property
    def stream(self) -> IO[bytes]:
        """The content at this position."""
        ...

    def first_line(self) -> bytes:
        """Return the first line of a record, or nothing if there is none."""
        ...

    def surplus(self) -> bytes:
        """Return what a record has more than it says, right after the rest was read."""
        ...

    def end(self) -> int:
        """Return the offset after the record just read and what is between records."""
        ...


class PlainSource:
    """A position in an uncompressed file."""

    def __init__(self, file: IO[bytes]) -> None:
        self.stream = file

    def first_line(self) -> bytes:
        """Return the first line of a record, or nothing if there is none."""
        return self.stream.readline(_MAX_LINE)

    def surplus(self) -> bytes:
        """Return what a record has more than it says, right after the rest was read."""
        start = self.stream.tell()
        size = self.end() - start
        self.stream.seek(start)
        surplus = self.stream.read(min(size, _SURPLUS)).rstrip(_FILLER)
        self.stream.seek(start)
        return surplus

    def end(self) -> int:
        """Return the offset after the record just read and what is between records."""
        end = _past_filler(self.stream, self.stream.tell())
        self.stream.seek(end)
        surplus = self.stream.read(_SURPLUS + len(_FIRST))
        if surplus.startswith(_FIRST[: len(surplus)]):
            return end
        following = _RECORD.search(surplus)
        is_last = len(surplus) <= _SURPLUS
        return end + (following.start() + 1 if following else len(surplus) * is_last)


def _past_filler(file: IO[bytes], offset: int) -> int:
    """Return the offset of what comes after the filler at an offset."""
    file.seek(offset)
    while block := file.read(_MAX_LINE):
        if rest := block.lstrip(_FILLER):
            return offset + len(block) - len(rest)
        offset += len(block)
    return offset


class GzipMember:
    """The gzip member at a file's current position. Reading raises ``EOFError`` if it is incomplete."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._unpacking = _Unpacking(file)
        self.stream: IO[bytes] = io.BufferedReader(self._unpacking, _BLOCK)
        #: What comes after the record, as far as it was read.
        self._behind = b"\n"

    def first_line(self) -> bytes:
        """Return the first line of a record, or nothing if there is none."""
        while (line := self.stream.readline(_MAX_LINE)) and not line.strip(_FILLER):
            pass
        return line

    def surplus(self) -> bytes:
        """Return what a record has more than it says, right after the rest was read."""
        surplus = self.stream.read(_BLOCK)
        self._behind += surplus
        return b"" if _RECORD.search(self._behind) else surplus.rstrip(_FILLER)

    def end(self) -> int:
        """Return the offset after the member and what is between records.

        Raises ``OneStreamError`` if another record is in the member.
        """
        while not _RECORD.search(self._behind):
            block = self.stream.read(_BLOCK)
            if not block:
                return self.past()
            self._behind = self._behind[-_SURPLUS:] + block
        raise OneStreamError("several records share a gzip member")

    def past(self) -> int:
        """Return the offset after the member and what is between members; it must have been read."""
        return _past_filler(self._file, self._file.tell() - len(self._unpacking.gzip.unused_data))


class _Unpacking(io.RawIOBase):
    """The content of a gzip member, unpacked only as far as requested."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.gzip = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill a buffer with unpacked bytes."""
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


def source_at(file: IO[bytes], offset: int) -> PlainSource | GzipMember:
    """Return the source at an offset."""
    file.seek(offset)
    magic = file.read(len(_GZIP))
    file.seek(offset)
    return GzipMember(file) if magic == _GZIP else PlainSource(file)


def past_member(file: IO[bytes], offset: int) -> int | None:
    """Return the offset after a gzip member, whatever is in it, or None if there is no complete one."""
    source = source_at(file, offset)
    if not isinstance(source, GzipMember):
        return None
    try:
        deque(pieces(source.stream), maxlen=0)
        return source.past()
    except (EOFError, zlib.error):
        return None


#: Longest piece, in bytes.
_PIECE = 1 << 16
#: Least length of the first piece, in bytes, if the content is as long: enough to recognize a format.
_HEAD = 16
#: Longest line between two chunks, in bytes.
_MAX_CHUNK_LINE = 1 << 12
#: A chunk's size and extensions (RFC 9112, section 7.1).
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?\r?\n")
_RAW_DEFLATE = -zlib.MAX_WBITS


class Body(Protocol):
    """A stream that ends at the end of the record."""

    def read(self, size: int, /) -> bytes:
        """Return at most this many bytes, none at the end."""
        ...

    def readline(self, size: int, /) -> bytes:
        """Return a line, or this many bytes of it, none at the end."""
        ...


class UndecodableError(Exception):
    """Content is not encoded as its headers say, or in an unknown encoding."""


def pieces(body: Body, size: int | None = None) -> Iterator[bytes]:
    """Yield the rest of a stream, or its next ``size`` bytes."""
    left = size
    while left != 0 and (piece := body.read(_PIECE if left is None else min(_PIECE, left))):
        left = None if left is None else left - len(piece)
        yield piece


def decoded(body: Body, transfer_encoding: str, content_encoding: str) -> Iterator[bytes]:
    """Yield the decoded content of a response with these headers; raise ``UndecodableError`` on damage.

    Incomplete content just ends: whether that matters depends on its format.
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
    line = body.readline(_MAX_CHUNK_LINE)
    if not _CHUNK_SIZE.fullmatch(line):
        yield line
        yield from pieces(body)
        return
    while size := _chunk_size(line):
        yield from pieces(body, size)
        body.readline(_MAX_CHUNK_LINE)
        line = body.readline(_MAX_CHUNK_LINE)


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
    """Return the zlib format of content, by its header and first bytes; None if it is not compressed."""
    if encoding in ("", "identity") or format_from_signature(head):
        return None
    if encoding in ("gzip", "x-gzip"):
        return zlib.MAX_WBITS | 16 if head.startswith(b"\x1f\x8b") else None
    if encoding == "deflate":
        # The standard means the zlib format; some hosts send raw deflate (RFC 9110, section 8.4.1.2).
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


#: Longest headers of a record and of the response in it, in bytes.
_MAX_HEADERS = 1 << 20
#: Longest first line of a record, in bytes.
_MAX_LINE = 1 << 10
#: A length with more digits is longer than any file.
_MAX_DIGITS = 18
_NO_RECORD = "no WARC record begins here"
_VERSIONS = ["WARC/1.1", "WARC/1.0", "WARC/0.18", "WARC/0.17"]


class DamagedError(Exception):
    """There is no complete record at this offset."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset


class _WholeBody:
    """The content of a record, with what it has more than it says: some tools count one byte too few."""

    def __init__(self, said: Any, place: RecordSource) -> None:
        self._said = said
        self._place = place
        self._has_surplus = True

    def read(self, size: int, /) -> bytes:
        """Return at most this many bytes, none at the end."""
        piece: bytes = self._said.read(size)
        if piece or self._said.limit or not self._has_surplus:
            return piece
        self._has_surplus = False
        return self._place.surplus()[:size]

    def readline(self, size: int, /) -> bytes:
        """Return a line, or this many bytes of it, none at the end."""
        line: bytes = self._said.readline(size)
        return line


class Record:
    """One record. Its content can be read once, before the next record is read."""

    def __init__(self, offset: int, place: RecordSource, headers: Any) -> None:
        from warcio.limitreader import LimitReader

        self.offset = offset
        self.kind: str = (headers.get_header("WARC-Type") or "").lower()
        # Old versions of wget put the URI in angle brackets.
        self.uri: str = (headers.get_header("WARC-Target-URI") or "").strip("<>")
        self.media_type: str = headers.get_header("Content-Type") or ""
        self.status: int | None = None
        self._encodings = "", ""
        self._place = place
        self._end: int | None = None
        self._body = LimitReader(place.stream, _length(offset, headers))
        if self.kind == "response" and self.uri.lower().startswith(("http:", "https:")):
            self._read_answer()

    @property
    def has_content(self) -> bool:
        """Whether it contains the content of its URI: a resource, or a successful response."""
        return self.kind == "resource" or (self.kind == "response" and self.status == 200)

    def payload(self) -> Iterator[bytes]:
        """Yield the content piece by piece, with transfer and content encodings removed.

        Raises ``UndecodableError`` if the content is damaged, and ``DamagedError`` if the record is.
        """
        with _damage_named(self.offset):
            yield from decoded(_WholeBody(self._body, self._place), *self._encodings)

    def finish(self) -> int:
        """Read to the end of the record and return the offset of the next one.

        Raises ``DamagedError`` if the record is incomplete, and ``OneStreamError`` if it shares its gzip
        member with others.
        """
        if self._end is None:
            with _damage_named(self.offset):
                deque(pieces(self._body), maxlen=0)
                if self._body.limit:
                    raise EOFError
                self._end = self._place.end()
        return self._end

    def _read_answer(self) -> None:
        if not self._body.limit:
            return
        answer = _headers(self._body, _MAX_HEADERS, versions=[])
        code = answer.get_statuscode()
        self.status = int(code) if len(code) == 3 and code.isascii() and code.isdigit() else None
        self.media_type = answer.get_header("Content-Type") or ""
        transfer, content = (answer.get_header(f"{of}-Encoding") or "" for of in ("Transfer", "Content"))
        self._encodings = transfer, content


def read_record(file: IO[bytes], offset: int) -> Record:
    """Return the record that begins at an offset, or raise ``DamagedError``."""
    record = next_record(file, offset)
    if record is None or record.offset != offset:
        raise DamagedError(offset, _NO_RECORD)
    return record


def next_record(file: IO[bytes], offset: int) -> Record | None:
    """Return the record at an offset, skipping empty gzip members; None at the end of the file.

    Raises ``DamagedError`` if something else is there, and ``OneStreamError``.
    """
    while True:
        with _damage_named(offset):
            place = source_at(file, offset)
            if first := place.first_line():
                return Record(offset, place, _headers(place.stream, _MAX_HEADERS, _VERSIONS, first))
            end = place.end()
        if end == offset:
            return None
        offset = end


def _headers(stream: Body, limit: int, versions: list[str], first: bytes | None = None) -> Any:
    """Parse headers from a stream; if versions are given, it must begin with one of them."""
    from warcio.limitreader import LimitReader
    from warcio.statusandheaders import StatusAndHeadersParser

    return StatusAndHeadersParser(versions, bool(versions)).parse(LimitReader(stream, limit), first)


def _length(offset: int, headers: Any) -> int:
    digits: str = headers.get_header("Content-Length") or ""
    if digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS:
        return int(digits)
    raise DamagedError(offset, "the record has no valid length")


@contextmanager
def _damage_named(offset: int) -> Iterator[None]:
    """Translate errors of reading damaged content."""
    from warcio.statusandheaders import StatusAndHeadersParserException

    try:
        yield
    except EOFError as error:
        raise DamagedError(offset, "the record is incomplete") from error
    except zlib.error as error:
        raise DamagedError(offset, f"the record cannot be unpacked: {error}") from error
    except StatusAndHeadersParserException as error:
        raise DamagedError(offset, _NO_RECORD) from error
