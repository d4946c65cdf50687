"""Heads and chunks of responses as hosts write them: what is odd but clear is taken as browsers take it.

aiohttp's parser is stricter than browsers. So they are read here first, and given to aiohttp in plain form,
with the fields that we use. What is not clear, such as two different lengths, is refused with
``http_invalid``. Being lenient is safe because nobody else reads these connections, and because
``http_protocol.py`` reads no other response from one on which anything was odd.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from shared.errors import Code, ItemError

#: Longest head, interim ones included, in bytes (Chromium's limit), and most lines of one.
MAX_HEAD, _MAX_LINES = 256 * 1024, 2000
#: Most interim responses before the response.
_MAX_INTERIM = 1000
#: The fields that we use; the others are left out.
_FIELDS = frozenset(
    (
        *(b"content-length", b"transfer-encoding", b"connection", b"content-encoding", b"content-range"),
        *(b"location", b"retry-after", b"x-robots-tag", b"etag", b"last-modified"),
    )
)
_BEGINNING = b"HTTP/"
_STATUS_LINE = re.compile(rb"HTTP/(\d{1,3})(?:\.(\d{1,3}))?[ \t]+(\d{3})(?!\d)", re.IGNORECASE)
_END = re.compile(rb"\n\r?\n")
#: What the name of a field is made of, in lower case (RFC 9110, section 5.6.2).
_NAME = b"0123456789abcdefghijklmnopqrstuvwxyz!#$%&'*+.^_`|~-"
#: A length that is believed to be one.
_LENGTH = re.compile(rb"[0-9]{1,15}")
#: More chunks than this must not be smaller than so many bytes on average: each one takes time.
_MANY_CHUNKS, _SMALL_CHUNK = 10_000, 32
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,15}")
#: Statuses whose responses have no body (RFC 9112, section 6.3), besides the interim ones.
_BODILESS = (101, 204, 304)
#: Longest piece of a response that a message quotes, in bytes.
_QUOTED = 60


class ResponseHead(NamedTuple):
    """The head of a response, plain for aiohttp's parser.

    ``length`` is that of the body in bytes; None if it is chunked, or ends with the connection.
    """

    status: int
    length: int | None
    is_chunked: bool
    plain: bytes


def parse_head(head: bytes) -> ResponseHead:
    """Return a head, given up to its empty line; raise ``ItemError(http_invalid)`` if it is not clear.

    After an odd one it says that the connection is to be closed. RFC 9112, sections 4, 5 and 6.3.
    """
    first, *lines = head.split(b"\n", _MAX_LINES + 1)
    if len(lines) > _MAX_LINES:
        raise invalid(f"it has more than {_MAX_LINES} header lines")
    version, status = _status(first)
    fields, is_odd = _fields(lines)
    length, framing_is_odd = _framing(fields)
    is_chunked = b"transfer-encoding" in fields
    is_odd = is_odd or framing_is_odd or version not in ((1, 0), (1, 1)) or (is_chunked and version < (1, 1))
    if status in _BODILESS:
        length, is_chunked = 0, False
        fields.pop(b"transfer-encoding", None)
    if is_odd:
        fields[b"connection"] = [b"close"]
    minor = b"0" if version < (1, 1) else b"1"
    lines = [b"%s: %s" % (name, value) for name, values in fields.items() for value in values]
    plain = b"\r\n".join([b"HTTP/1.%s %d " % (minor, status), *lines, b"", b""])
    return ResponseHead(status, length, is_chunked, plain)


def invalid(what: str, found: bytes | None = None) -> ItemError:
    """Return the error of a response that is not valid HTTP, which says what is wrong with it."""
    quote = "" if found is None else f" {found[:_QUOTED]!r}"
    return ItemError(Code.HTTP_INVALID, what + quote)


def _status(line: bytes) -> tuple[tuple[int, int], int]:
    match = _STATUS_LINE.match(line)
    if match is None:
        raise invalid("its status line is", line)
    return (int(match[1]), int(match[2] or 0)), int(match[3])


def _fields(lines: Iterable[bytes]) -> tuple[dict[bytes, list[bytes]], bool]:
    """Return the values of the fields that are read, by name, and whether anything in the lines is odd."""
    fields: dict[bytes, list[bytes]] = {}
    is_odd = False
    values: list[bytes] = []
    for line in lines:
        line = line.removesuffix(b"\r")
        before, colon, value = line.partition(b":")
        name = before.lower()
        if name.translate(None, _NAME) or not (name and colon):  # no field as it should be
            is_odd = is_odd or bool(line)
            if line[:1] in (b" ", b"\t"):  # the value before goes on, as in old HTTP
                values[-1:] = [b" ".join((*values[-1:], line.strip(b" \t")))]
                continue
            name = name.rstrip(b" \t") if colon else b""
        values = fields.setdefault(name, []) if name in _FIELDS else []
        values.append(value.strip(b" \t"))
    sound = {name: [value for value in values if _is_sound(value)] for name, values in fields.items()}
    return sound, is_odd or sound != fields


def _is_sound(value: bytes) -> bool:
    """Tell whether a value has nothing that ends the line for some readers and not for others."""
    return b"\0" not in value and b"\r" not in value


def _framing(fields: dict[bytes, list[bytes]]) -> tuple[int | None, bool]:
    """Reduce the fields that say where the body ends to one; return its length, and whether they are odd."""
    codings = [token.lower() for token in _tokens(fields.pop(b"transfer-encoding", []))]
    lengths = _tokens(fields.pop(b"content-length", []))
    numbers = {int(length) for length in lengths if _LENGTH.fullmatch(length)}
    if set(codings) - {b"chunked", b"identity"}:
        raise invalid("its Transfer-Encoding is", b", ".join(codings))
    if b"chunked" in codings:
        fields[b"transfer-encoding"] = [b"chunked"]
        return None, len(codings) > 1 or bool(lengths)
    if len(numbers) > 1:
        raise invalid("its Content-Length is", b" and ".join(lengths))
    fields[b"content-length"] = [b"%d" % number for number in numbers]
    return next(iter(numbers), None), bool(codings) or len(lengths) != len(numbers)


def _tokens(values: Iterable[bytes]) -> list[bytes]:
    """Return the members of a list that may be spread over several fields (RFC 9110, section 5.6.1)."""
    return [token for value in values for part in value.split(b",") if (token := part.strip(b" \t"))]


class HeadReader:
    """Finds the head of a response in the bytes of a connection; interim ones (1xx) are passed over."""

    def __init__(self) -> None:
        #: What has come and is not read yet, how much of it has no end of a head, and what came in all.
        self.rest = b""
        self._searched = self._size = self._interim = 0

    def feed(self, data: bytes) -> ResponseHead | None:
        """Return the head when it is complete, and leave the ``rest``; raise ``ItemError(http_invalid)``."""
        self._size += len(data)
        self.rest += data
        head = self._next()
        while head is not None and 100 <= head.status < 200 and head.status not in _BODILESS:
            self._interim += 1
            if self._interim > _MAX_INTERIM:
                raise invalid(f"it has more than {_MAX_INTERIM} interim responses")
            head = self._next()
        return head

    def _next(self) -> ResponseHead | None:
        if not self._searched:
            self.rest = self.rest.lstrip(b"\r\n")
            if not _BEGINNING.startswith(self.rest[: len(_BEGINNING)].upper()):
                raise invalid("it begins with", self.rest)
        end = _END.search(self.rest, max(0, self._searched - 2))
        if (end.end() if end else self._size) > MAX_HEAD:
            raise invalid(f"its head is longer than {MAX_HEAD} bytes")
        if end is None:
            self._searched = len(self.rest)
            return None
        head, self.rest, self._searched = self.rest[: end.end()], self.rest[end.end() :], 0
        return parse_head(head)


class ChunkReader:
    """Reads a chunked body, whatever ends its lines (RFC 9112, section 7.1); its trailers are left out.

    ``is_whole`` tells whether the last chunk has come, ``is_over`` whether nothing more is to come: what came
    beyond is the ``rest``. ``is_odd`` tells whether anything was not as it should be.
    """

    def __init__(self) -> None:
        self.is_whole = self.is_over = self.is_odd = False
        self.rest = b""
        self._left = self._trailers = self._count = self._size = 0
        self._ends_chunk = False

    def feed(self, data: bytes) -> bytes:
        """Return the next bytes of the body; raise ``ItemError(http_invalid)``."""
        data, at, pieces = self.rest + data, 0, []
        while not self.is_over:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                self._left -= len(piece)
                at += len(piece)
                if self._left:
                    break
                self._ends_chunk = True
            end = data.find(b"\n", at)
            if end < 0:
                break
            self._read_line(data[at:end])
            at = end + 1
        self.rest = data[at:]
        if not self.is_over and len(self.rest) > MAX_HEAD:
            raise invalid(f"a line in its chunked body is longer than {MAX_HEAD} bytes")
        return b"".join(pieces)

    def _read_line(self, line: bytes) -> None:
        self.is_odd = self.is_odd or not line.endswith(b"\r")
        line = line.strip(b" \t\r")
        if self._ends_chunk:
            if line:
                raise invalid("it has more than the size of a chunk:", line)
            self._ends_chunk = False
        elif self.is_whole:
            self._trailers += len(line) + 1
            self.is_over = not line
            if self._trailers > MAX_HEAD:
                raise invalid(f"its trailers are longer than {MAX_HEAD} bytes")
        else:
            size = line.partition(b";")[0].strip(b" \t")
            if not _CHUNK_SIZE.fullmatch(size):
                raise invalid("the size of a chunk is", line)
            self._left = int(size, 16)
            self.is_whole = self._left == 0
            self._count, self._size = self._count + 1, self._size + self._left
            if self._count > _MANY_CHUNKS and self._size < self._count * _SMALL_CHUNK:
                raise invalid(f"its chunks are smaller than {_SMALL_CHUNK} bytes")
