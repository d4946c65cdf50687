"""What reading a source yields: references, and places that hold none."""

import re
from dataclasses import dataclass

#: Longest reference, in characters: a path on Linux has at most 4096 bytes.
_MAX_LENGTH = 4096
# Control characters would reach terminals; lone surrogates stand for bytes that are not UTF-8.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Reference:
    """One image to label: a URL or a path, and the user's own id for it."""

    ref: str
    custom_id: str | None = None


@dataclass(frozen=True, slots=True)
class Malformed:
    """A place in a source that holds no usable reference."""

    source: str
    line: int | None
    reason: str

    def __str__(self) -> str:
        where = self.source if self.line is None else f"{self.source}, line {self.line}"
        return f"{where}: {self.reason}"


Entry = Reference | Malformed


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a list hold the reference and, if any, the user's own id."""

    ref: str = "url"
    custom_id: str | None = None


def checked(ref: str, source: str, line: int | None = None, custom_id: str | None = None) -> Entry:
    """Return a reference if it can be one, else what is wrong with it."""
    reason = _reason_against(ref) or (custom_id and _reason_against(custom_id))
    if reason:
        return Malformed(_printable(source), line, reason)
    return Reference(ref, custom_id)


def _reason_against(text: str) -> str | None:
    if not text:
        return "the reference is empty"
    if len(text) > _MAX_LENGTH:
        return f"longer than {_MAX_LENGTH} characters"
    if _FORBIDDEN.search(text):
        return "holds control characters or is not UTF-8"
    return None


def _printable(text: str) -> str:
    return _FORBIDDEN.sub("?", text)
