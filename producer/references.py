"""Image references, malformed entries, and the filter for URLs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from shared.errors import UNPRINTABLE, printable
from shared.warc import is_warc_reference

#: Longest reference, in characters: a path on Linux has at most 4096 bytes.
_MAX_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class Reference:
    """One image to label: a URL or a path, the user's own id for it, and its line in the source."""

    ref: str
    custom_id: str | None = None
    line: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class MalformedEntry:
    """A place in a source without a usable reference."""

    source: str
    line: int | None
    reason: str
    #: Number of lines affected: an unclosed quote affects many.
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
    """The columns of a list with the reference and, optionally, the user's own id."""

    ref: str = "url"
    custom_id: str | None = None


def checked(ref: str, source: str, line: int | None = None, custom_id: str | None = None) -> Entry:
    """Return a reference if it is valid, else what is wrong with it."""
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
        return f"{what} has control characters or is not UTF-8"
    return None


_SCHEMES = ("http://", "https://")


class UrlEntries:
    """Entries with local references turned into malformed ones; ``malformed`` counts them."""

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
        return "it is in a local file; use `smartsight label` for WARC files"
    return "not an http or https URL; use `smartsight label` for paths"
