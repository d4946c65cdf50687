"""Name a record of a WARC file in one line: ``crawl.warc.gz:1234:https://example.com/a.jpg``.

The first colon ends the path and the second one the offset, so colons of the path are written as ``%3A``
and its percent signs as ``%25``. Everything after them is the target URI as it stands.
"""

import re
from dataclasses import dataclass

# Eighteen digits are more bytes than any file has, and few enough for every system to seek to.
_FORM = re.compile(r"([^:]*\.warc(?:\.gz)?):([0-9]{1,18}):(.*)", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WarcReference:
    """Where a record begins in which file, and whose URI it is of."""

    path: str
    offset: int
    uri: str

    def __str__(self) -> str:
        path = self.path.replace("%", "%25").replace(":", "%3A")
        return f"{path}:{self.offset}:{self.uri}"


def is_warc_reference(ref: str) -> bool:
    """Tell whether a reference names a record; a URL never does, though a record's URI is one."""
    return _FORM.fullmatch(ref) is not None


def parse_warc_reference(ref: str) -> WarcReference | None:
    """Return which record a reference names, or None if it names something else."""
    match = _FORM.fullmatch(ref)
    if match is None:
        return None
    path, offset, uri = match.groups()
    return WarcReference(path.replace("%3A", ":").replace("%25", "%"), int(offset), uri)
