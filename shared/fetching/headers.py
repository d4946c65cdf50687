"""Interpret response headers: status, Retry-After, X-Robots-Tag, and the target of a redirect."""

import re
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from shared.errors import Code
from shared.fetching.guard import DISPUTED

if TYPE_CHECKING:
    from yarl import URL

#: A Retry-After with more digits just means "long".
_MAX_DIGITS = 9
_CODES_BY_STATUS = {
    401: Code.HTTP_401,
    403: Code.HTTP_403,
    404: Code.HTTP_404,
    408: Code.HTTP_408,
    410: Code.HTTP_410,
    425: Code.HTTP_425,
    429: Code.RATE_LIMITED,
}
#: Directives that opt out; "none" means "noindex, nofollow".
_OPT_OUTS = frozenset(("noai", "noimageai", "noindex", "noimageindex", "none"))
#: Directives with a value after a colon; any other word before a colon names a robot.
_WITH_VALUE = frozenset(("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"))


def code_of_status(status: int) -> Code:
    """Return the code of an HTTP status other than 200."""
    if status in _CODES_BY_STATUS:
        return _CODES_BY_STATUS[status]
    if 400 <= status < 500:
        return Code.HTTP_4XX
    return Code.HTTP_5XX if status >= 500 else Code.HTTP_UNEXPECTED


def retry_after(header: str, now: float) -> float | None:
    """Return the seconds to wait by the Retry-After header at this time.

    RFC 9110, section 10.2.3: a number of seconds, or a date.
    """
    if header.isascii() and header.isdigit():
        return float(header[:_MAX_DIGITS])
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def opt_out(values: Iterable[str], robot: str) -> str | None:
    """Return the first X-Robots-Tag directive that keeps this robot from using an image, or None.

    https://developers.google.com/search/docs/crawling-indexing/robots-meta-tag: directives are separated by
    commas, and hold for one robot if its name and a colon come first. ``noai`` and ``noimageai`` are
    DeviantArt's, and the convention by now.
    """
    for value in values:
        ours = True
        for part in value.lower().split(","):
            name, colon, rest = part.partition(":")
            if colon and name.strip() not in _WITH_VALUE:
                ours = name.strip() in ("*", robot)
                part = rest
            if ours and part.strip() in _OPT_OUTS:
                return part.strip()
    return None


_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
#: Scheme and host: never percent-encoded, because they determine whom we call.
_BEFORE_PATH = re.compile(rf"(?:{_SCHEME.pattern})?(?://[^/?#]*)?", re.IGNORECASE)
#: Bytes that are invalid in URLs, but which hosts send nevertheless.
_UNQUOTED = re.compile(rb"[ \x80-\xff]")


def target(url: "URL", location: str) -> str:
    """Return the absolute target of a Location header, or a text that the URL check refuses."""
    from yarl import URL

    location = _quoted(location)
    # Otherwise the parser would drop or rewrite invalid characters.
    if _SCHEME.match(location) or DISPUTED.search(location):
        return location
    return str(url.join(URL(location)))


def _quoted(location: str) -> str:
    """Percent-encode (RFC 3986, section 2.1) invalid bytes in path and query, whatever their encoding."""
    match = _BEFORE_PATH.match(location)
    end = match.end() if match else 0
    # The HTTP client passes undecodable bytes as surrogates.
    rest = location[end:].encode("utf-8", "surrogateescape")
    return location[:end] + _UNQUOTED.sub(lambda byte: b"%%%02X" % byte[0][0], rest).decode("ascii")
