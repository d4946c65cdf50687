"""Image references as sources yield them, places that hold none, and the check for URLs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from shared.errors import UNPRINTABLE, printable
from shared.warc import is_warc_reference

#: Longest reference, in characters: a path on Linux has at most 4096 bytes.
_MAX_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class Reference:
    """One image to label: a URL or a path, the user's own id for it, and the line that it stands in."""

    ref: str
    custom_id: str | None = None
    line: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class MalformedEntry:
    """A place in a source that holds no usable reference."""

    source: str
    line: int | None
    reason: str
    #: How many lines are lost with it: an unclosed quote takes many.
    lines: int = 1

    def __str__(self) -> str:
        return f"{self.source}{self._place()}: {self.reason}"

    def _place(self) -> str:
        if self.line is None:
            return ""
        return (
            f", line {self.line}"
            if self.lines == 1
            else f", lines {self.line} to {self.line + self.lines - 1}"
        )


Entry = Reference | MalformedEntry


@dataclass(frozen=True, slots=True)
class ListColumns:
    """Which columns of a list hold the reference and, if any, the user's own id."""

    ref: str = "url"
    custom_id: str | None = None


def checked(ref: str, source: str, line: int | None = None, custom_id: str | None = None) -> Entry:
    """Return a reference if it can be one, else what is wrong with it."""
    reason = _reason_against("the reference", ref)
    if not reason and custom_id:
        reason = _reason_against("the custom id", custom_id)
    if reason:
        return MalformedEntry(printable(source), line, reason)
    return Reference(ref, custom_id, line)


def _reason_against(what: str, text: str) -> str | None:
    if not text:
        return f"{what} is empty"
    if len(text) > _MAX_LENGTH:
        return f"{what} is longer than {_MAX_LENGTH} characters"
    if UNPRINTABLE.search(text):
        return f"{what} holds control characters or is not UTF-8"
    return None


_SCHEMES = ("http://", "https://")


class UrlEntries:
    """Entries of which local ones are malformed; ``malformed`` counts all of these that have passed."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = entries
        self.malformed = 0

    def __iter__(self) -> Iterator[Entry]:
        for entry in self._entries:
            if isinstance(entry, Reference) and not entry.ref.lower().startswith(_SCHEMES):
                entry = MalformedEntry(entry.ref, entry.line, _reason_not_url(entry.ref))
            self.malformed += entry.lines if isinstance(entry, MalformedEntry) else 0
            yield entry


def _reason_not_url(ref: str) -> str:
    if is_warc_reference(ref):
        return "it is in a file of this machine; `smartsight label` takes WARC files"
    return "no http or https URL; `smartsight label` takes paths"
