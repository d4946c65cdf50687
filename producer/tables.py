"""Split comma- or tab-separated lines into rows.

A field that is quoted as a whole is read as in RFC 4180 (https://www.rfc-editor.org/rfc/rfc4180), with the
line ends in it. Any other quote is text: people write inches, and captions that begin with a quote. Where a
text that begins with a quote comes some rows before one that ends with one, the two look like a field over
several lines; that it would hold rows, with references, tells that it is none.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator

#: First and last line of a row, and its fields, or what is wrong with it.
Row = tuple[int, int, list[str] | str]
#: Tells whether a field is a reference, as far as its looks go.
IsReference = Callable[[str], bool]
#: Tells whether the fields of a line may be a row, with a reference between two of their places.
_HoldsReference = Callable[[list[str], int, int], bool]

#: Longest row of several lines, in characters; it is read and searched only so far.
_MAX_ROW = 1 << 20
#: What is wrong with a line that may be several.
BARE_CR = "a carriage return within the line; are its line ends LF or CRLF?"
#: A quote, and what it quotes up to the next one that is not doubled. Each part is possessive: the pattern
#: reads a line once, whatever is in it.
_OPENED = re.compile(r' *+"([^"]*+(?:""[^"]*+)*+)')
#: An odd number of quotes: all pairs in it are doubled quotes, and one is left.
_LONE = re.compile(r'(?<!")"(?:"")*+(?!")')


class Table:
    """The rows of a table whose fields are separated by ``delimiter``; a line is None if it is too long."""

    def __init__(self, lines: Iterator[str | None], delimiter: str) -> None:
        self._lines = lines
        self._delimiter = delimiter
        #: Lines that were read in search of a closing quote.
        self._ahead: deque[str | None] = deque()
        self._line = 0
        self._closed = re.compile(rf'" *+(?P<end>{delimiter}|[\r\n]*+\Z)')
        self._text = re.compile(rf"([^{delimiter}]*+)(?P<end>{delimiter}|\Z)")

    def rows(self, columns: int, is_reference: IsReference, too_long: str) -> Iterator[Row]:
        """Yield the next rows, which have so many columns; ``too_long`` for a line that is too long.

        Blank lines are passed over.
        """

        def holds_reference(fields: list[str], start: int, stop: int) -> bool:
            return len(fields) >= columns and any(map(is_reference, fields[start:stop]))

        for line in self._taken():
            self._line = first = self._line + 1
            if line is None:
                yield first, first, too_long
            elif '"' in line:
                fields = self._fields(line, holds_reference)
                yield first, self._line, BARE_CR if fields is None else fields
            elif text := line.rstrip("\r\n"):
                yield first, first, BARE_CR if "\r" in text else text.split(self._delimiter)

    def _taken(self) -> Iterator[str | None]:
        """Yield the lines one after another, first those that were read ahead."""
        while True:
            while self._ahead:
                yield self._ahead.popleft()
            for line in self._lines:
                yield line
                if self._ahead:
                    break
            else:
                return

    def _fields(self, line: str, holds_reference: _HoldsReference | None) -> list[str] | None:
        """Split a line, with the next ones if a quoted field goes on in them, unless it stands alone.

        Returns None if a carriage return is in it as text: it may have been meant as a line end.
        """
        fields: list[str] = []
        row, place, room, is_last = line, 0, _MAX_ROW, False
        while not is_last:
            opened = _OPENED.match(row, place)
            if opened and opened.end() == len(row) and holds_reference:
                rest = self._rest(row[place:], line, room, holds_reference)
                row, place, line = row[place:] + "".join(rest), 0, [line, *rest][-1]
                room -= len(row)
                opened = _OPENED.match(row)
            end = self._closed.match(row, opened.end()) if opened else None
            if opened and end:
                fields.append(opened[1].replace('""', '"'))
            else:
                end = self._text.match(row, place)
                assert end
                fields.append(end[1] if end["end"] else end[1].rstrip("\r\n"))
                if "\r" in fields[-1]:
                    return None
            place, is_last = end.end(), end["end"] != self._delimiter
        return fields

    def _rest(self, field: str, line: str, room: int, holds_reference: _HoldsReference) -> list[str]:
        """Take the lines that a field goes on in, which begins in this line; none if its quote is text.

        It is text if no quote closes it, or if the field would hold a reference of one of its lines.
        """
        rest = self._to_next_quote(room)
        whole = field + "".join(rest)
        opened = _OPENED.match(whole)
        closed = self._closed.match(whole, opened.end()) if opened else None
        if not rest or not closed:
            return []
        before, after = line[: -len(field)], whole[closed.end() :]
        for number, one in enumerate((line, *rest)):
            fields = self._alone(one)
            if not holds_reference(fields, 0, len(fields)):
                continue
            start = len(self._alone(before)) - 1 if number == 0 else 0
            is_followed = number == len(rest) and closed["end"] == self._delimiter
            stop = len(fields) - (len(self._alone(after)) if is_followed else 0)
            if holds_reference(fields, start, stop):
                return []
        for _ in rest:
            self._ahead.popleft()
        self._line += len(rest)
        return rest

    def _alone(self, line: str) -> list[str]:
        """Split a line as if no other followed."""
        return self._fields(line, None) or []

    def _to_next_quote(self, limit: int) -> list[str]:
        """Return the next lines up to one with a lone quote, left to be read; none if it is too far away."""
        found: list[str] = []
        for line in self._coming():
            limit -= len(line or "")
            if line is None or limit < 0:
                break
            found.append(line)
            if '"' in line and _LONE.search(line):
                return found
        return []

    def _coming(self) -> Iterator[str | None]:
        """Yield the next lines, and leave them to be read."""
        yield from list(self._ahead)
        for line in self._lines:
            self._ahead.append(line)
            yield line
