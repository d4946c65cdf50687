"""Read the records of a WARC file: all of them in their order, or one by its offset.

warcio parses the headers. Where records begin and end is found out here, since warcio's own reader takes
damage for the end of the file, and unpacks whatever a member or a chunk holds at once.

The format: https://iipc.github.io/warc-specifications/
"""

import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from shared.warc.members import RecordSource, source_at
from shared.warc.payloads import Body, decoded, pieces

#: Longest headers of a record, and of the answer in it, in bytes.
_MAX_HEADERS = 1 << 20
#: Longest first line of a record, in bytes.
_MAX_LINE = 1 << 10
#: More digits of a length say no more than "longer than any file".
_MAX_DIGITS = 18
_NO_RECORD = "no WARC record begins here"
_VERSIONS = ["WARC/1.1", "WARC/1.0", "WARC/0.18", "WARC/0.17"]


class DamagedError(Exception):
    """No record, or no whole one, is at this offset."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset


class Record:
    """One record. Its content can be read once, and before the next record is."""

    def __init__(self, offset: int, place: RecordSource, headers: Any) -> None:
        from warcio.limitreader import LimitReader

        self.offset = offset
        self.kind: str = (headers.get_header("WARC-Type") or "").lower()
        # An old wget sets the URI in angle brackets.
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
        """Whether it holds what is at its URI: a resource does, and the answer to a successful request."""
        return self.kind == "resource" or (self.kind == "response" and self.status == 200)

    def payload(self) -> Iterator[bytes]:
        """Yield the content piece by piece, as it was before it was encoded for its way.

        Raises ``UndecodableError`` if the content is damaged, and ``DamagedError`` if the record is.
        """
        with _damage_named(self.offset):
            yield from decoded(self._body, *self._encodings)

    def finish(self) -> int:
        """Read to the record's end and return where the next one may begin.

        Raises ``DamagedError`` if the record is not all there, and ``OneStreamError`` if it shares its gzip
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


def read_records(file: IO[bytes]) -> Iterator[Record]:
    """Yield the records of a file one after another.

    Raises ``DamagedError`` where a record is not all there, or what follows is none, and ``OneStreamError``.
    """
    offset = 0
    while record := _record_at(file, offset):
        yield record
        offset = record.finish()


def read_record(file: IO[bytes], offset: int) -> Record:
    """Return the record that begins at an offset, or raise ``DamagedError``."""
    record = _record_at(file, offset)
    if record is None or record.offset != offset:
        raise DamagedError(offset, _NO_RECORD)
    return record


def _record_at(file: IO[bytes], offset: int) -> Record | None:
    """Return the first record at or, behind empty gzip members, after an offset; None at the file's end."""
    while True:
        with _damage_named(offset):
            place = source_at(file, offset)
            if first := place.stream.readline(_MAX_LINE):
                return Record(offset, place, _headers(place.stream, _MAX_HEADERS, _VERSIONS, first))
            end = place.end()
        if end == offset:
            return None
        offset = end


def _headers(stream: Body, limit: int, versions: list[str], first: bytes | None = None) -> Any:
    """Parse the headers that follow in a stream; where versions are named, it must begin with one of them."""
    from warcio.limitreader import LimitReader
    from warcio.statusandheaders import StatusAndHeadersParser

    return StatusAndHeadersParser(versions, bool(versions)).parse(LimitReader(stream, limit), first)


def _length(offset: int, headers: Any) -> int:
    digits: str = headers.get_header("Content-Length") or ""
    if digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS:
        return int(digits)
    raise DamagedError(offset, "the record does not say how long it is")


@contextmanager
def _damage_named(offset: int) -> Iterator[None]:
    """Turn what reading damage raises into our error."""
    from warcio.statusandheaders import StatusAndHeadersParserException

    try:
        yield
    except EOFError as error:
        raise DamagedError(offset, "the record breaks off") from error
    except zlib.error as error:
        raise DamagedError(offset, f"the record cannot be unpacked: {error}") from error
    except StatusAndHeadersParserException as error:
        raise DamagedError(offset, _NO_RECORD) from error
