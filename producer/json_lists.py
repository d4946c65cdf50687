"""Read lists that are JSON: a value a line (https://jsonlines.org), or all values in one document.

A value is a reference, or an object with the reference under the name of its column. The content tells which
kind it is: a document begins with the bracket of an array, or with a brace that stands alone in its line.
"""

import codecs
import json
import re
from collections.abc import Iterator
from functools import partial
from typing import IO, Any

from producer.references import SEVERAL, Entry, ListColumns, MalformedEntry, listed
from producer.text_lists import TOO_LONG, check_is_text, lines_of, read_text

#: Longest value of a document, in characters.
_MAX_VALUE = 1 << 20
#: Bytes of a document that are read at a time.
_PIECE = 1 << 16
_DOCUMENT = re.compile(rb"(?:\xef\xbb\xbf)?\s*+(?:\[|\{[ \t]*+[\r\n])")
#: How JSON begins that holds references; no path and no URL does.
_JSON = re.compile(rb"(?:\xef\xbb\xbf)?\s*+(?:\[\s*+[\"{]|\{\s*+\")")
#: What may stand between two values of a document.
_BETWEEN = re.compile(r"[\s,\ufeff]*+")
_DECODER = json.JSONDecoder()


def read_text_or_json(source: str, file: IO[bytes], columns: ListColumns) -> Iterator[Entry]:
    """Yield the entries of a list whose name does not tell; raise ``OSError`` if it is no text."""
    return (read_json if _JSON.match(_head(file)) else read_text)(source, file, columns)


def read_json(source: str, file: IO[bytes], columns: ListColumns) -> Iterator[Entry]:
    """Yield the entries of a list that is JSON; raise ``OSError`` if it is no text."""
    return (_read_document if _DOCUMENT.match(_head(file)) else _read_lines)(source, file, columns)


def _head(file: IO[bytes]) -> bytes:
    """Return the first bytes of a file, and leave them to be read."""
    head: bytes = file.peek(_PIECE) if hasattr(file, "peek") else b""
    return head


def _read_lines(source: str, file: IO[bytes], columns: ListColumns) -> Iterator[Entry]:
    for number, line in enumerate(lines_of(file), 1):
        if line is None:
            yield MalformedEntry(source, number, TOO_LONG)
        elif line.strip():
            yield _line_entry(source, number, line, columns)


def _line_entry(source: str, number: int, line: str, columns: ListColumns) -> Entry:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return MalformedEntry(source, number, "not JSON")
    return _entry(source, number, value, columns)


def _read_document(source: str, file: IO[bytes], columns: ListColumns) -> Iterator[Entry]:
    document = _Document(file)
    try:
        for line, value in document.values():
            yield _entry(source, line, value, columns)
    except _NotJsonError:
        first = document.line
        yield MalformedEntry(source, first, "not JSON; nothing after it is read", document.count_rest())


def _entry(source: str, line: int, value: Any, columns: ListColumns) -> Entry:
    if isinstance(value, str):
        return listed(value, source, line)
    if not isinstance(value, dict):
        return MalformedEntry(source, line, "not a JSON object")
    ref = value.get(columns.ref)
    if not isinstance(ref, str):
        reason = SEVERAL if isinstance(ref, list) else f"no text under {columns.ref!r}"
        return MalformedEntry(source, line, reason)
    custom_id = None if columns.custom_id is None else value.get(columns.custom_id)
    if custom_id is not None and not isinstance(custom_id, str):
        custom_id = json.dumps(custom_id, ensure_ascii=False)
    return listed(ref, source, line, custom_id)


class _NotJsonError(Exception):
    """A document does not go on as JSON does, or has a value that is too long."""


class _Document:
    """The values of a JSON document, in an array or without one; ``line`` counts its lines from 1."""

    def __init__(self, file: IO[bytes]) -> None:
        self.line = 1
        self._pieces = _texts(file)
        #: What was read last, and how far it is used.
        self._text, self._place = "", 0

    def values(self) -> Iterator[tuple[int, Any]]:
        """Yield each value with its first line; raise ``_NotJsonError``."""
        is_array = self._next() == "["
        if is_array:
            self._use(self._place + 1)
        while (first := self._next()) and not (is_array and first == "]"):
            yield self.line, self._value()
        if is_array:
            self._use(self._place + 1)
            if not first or self._next():
                raise _NotJsonError

    def count_rest(self) -> int:
        """Return the number of lines from ``line`` to the end."""
        text, count = self._text[self._place :], 0
        while True:
            count += text.count("\n")
            following = next(self._pieces, "")
            if not following:
                return max(1, count + (not text.endswith("\n")))
            text = following

    def _next(self) -> str:
        """Pass over what is between values, and return the first character of the next one, if any."""
        while True:
            between = _BETWEEN.match(self._text, self._place)
            self._use(between.end() if between else self._place)
            if self._place < len(self._text):
                return self._text[self._place]
            if not self._read_on():
                return ""

    def _value(self) -> Any:
        is_end = False
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._place)
            except (ValueError, RecursionError):
                end = -1
            # At the end of what was read, the rest of a number may be missing.
            if end >= 0 and (is_end or end < len(self._text)):
                self._use(end)
                return value
            if is_end or len(self._text) - self._place > _MAX_VALUE:
                raise _NotJsonError
            is_end = not self._read_on()

    def _use(self, place: int) -> None:
        self.line += self._text.count("\n", self._place, place)
        self._place = place

    def _read_on(self) -> bool:
        """Read the next piece, and forget what is used; return whether there is one."""
        piece = next(self._pieces, "")
        self._text, self._place = self._text[self._place :] + piece, 0
        return bool(piece)


def _texts(file: IO[bytes]) -> Iterator[str]:
    """Yield a document piece by piece, decoded as lines are."""
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    for count, piece in enumerate(iter(partial(file.read, _PIECE), b"")):
        if not count:
            check_is_text(piece)
        if text := decode(piece):
            yield text
    if text := decode(b"", final=True):
        yield text
