"""Image references, malformed entries, and the filter for URLs."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from shared.errors import UNPRINTABLE, Code, printable
from shared.hosts import is_unfetched_url
from shared.warc import is_warc_reference

#: Longest reference, in characters: a path on Linux has at most 4096 bytes.
_MAX_LENGTH = 4096
#: Endings of image files in folders.
IMAGE_ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif"),
    *(".bmp", ".dib", ".avif", ".tif", ".tiff", ".heic", ".heif"),
)
#: What nobody sees at the ends of a text: white space, byte order marks, zero-width and direction marks.
_INVISIBLE = " \t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u180e\u205f\u2060\u3000\ufeff" + "".join(
    chr(code) for code in (*range(0x2000, 0x2010), *range(0x2028, 0x2030), *range(0x2066, 0x206A))
)
#: What is wrong with a list of references in a cell.
SEVERAL = "it is a list: give each reference a row of its own"
#: A URL, a path that says where it begins, or the name of an image, which may have spaces.
_LIKE_A_REFERENCE = re.compile(
    r'(?:https?://|\.{0,2}/)[^\s"<>]+|[^\s"<>](?:[^"<>]*[^\s"<>])?'
    rf"(?:{'|'.join(map(re.escape, IMAGE_ENDINGS))})",
    re.IGNORECASE,
)
#: Where a second URL begins in a cell, after what separates it.
_NEXT_URL = re.compile(r"([\s|]|[,;]\s*)https?://", re.IGNORECASE)


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


def cleaned(text: str) -> str:
    """Return a text of a list without the white space and the invisible marks at its ends."""
    return text.strip(_INVISIBLE)


def listed(ref: str, source: str, line: int | None = None, custom_id: str | None = None) -> Entry:
    """Return the reference in a line or a cell of a list, or what is wrong with it."""
    ref = cleaned(ref)
    if _is_several(ref):
        return MalformedEntry(printable(source), line, SEVERAL)
    return checked(ref, source, line, custom_id)


def _is_several(ref: str) -> bool:
    """Tell whether a text has several URLs. One may have another in its query, after a comma."""
    if ref.count("://") < 2 or len(ref) > _MAX_LENGTH:
        return False
    separator = _NEXT_URL.search(ref)
    return ref[0] in "[({" or (separator is not None and "?" not in ref[: separator.start()])


def is_like_a_reference(field: str) -> bool:
    """Tell whether a field is likely to be meant as a reference: a URL, a path, or the name of an image."""
    return _LIKE_A_REFERENCE.fullmatch(field) is not None


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
    if is_unfetched_url(ref):
        return f"{Code.URL_NOT_ALLOWED}: only http and https URLs are fetched"
    return "not an http or https URL; use `smartsight label` for paths"
