"""Where a redirect leads. It is made absolute here, and judged by the gates like any other URL."""

import re
from typing import TYPE_CHECKING

from shared.fetching.urls import DISPUTED

if TYPE_CHECKING:
    from yarl import URL

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
#: What stands before the path: nothing in it is ever quoted, as it says who is asked.
_BEFORE_PATH = re.compile(rf"(?:{_SCHEME.pattern})?(?://[^/?#]*)?", re.IGNORECASE)
#: Bytes that no URL has, and that hosts send all the same.
_UNQUOTED = re.compile(rb"[ \x80-\xff]")


def target(url: "URL", location: str) -> str:
    """Return where a Location leads that a URL answered with, or a text that the first gate refuses."""
    from yarl import URL

    location = _quoted(location)
    # Else the parser would drop or rewrite what it does not like.
    if _SCHEME.match(location) or DISPUTED.search(location):
        return location
    return str(url.join(URL(location)))


def _quoted(location: str) -> str:
    """Quote (RFC 3986, section 2.1) what no URL has in path and query, byte for byte, whatever it encodes."""
    match = _BEFORE_PATH.match(location)
    end = match.end() if match else 0
    # The HTTP client let them through so.
    rest = location[end:].encode("utf-8", "surrogateescape")
    return location[:end] + _UNQUOTED.sub(lambda byte: b"%%%02X" % byte[0][0], rest).decode("ascii")
