"""Interpret status and headers of a response: Content-Range, Content-Encoding, Retry-After, X-Robots-Tag."""

import re
from collections.abc import Iterable
from email.utils import parsedate_to_datetime

from shared.errors import Code

#: A Retry-After with more digits just means "long".
_MAX_DIGITS = 9
#: A date with more characters is none.
_MAX_DATE = 100
#: All bytes of so many, counted from 0.
_RANGE = re.compile(r"bytes[ \t]+0-(\d{1,15})/(\d{1,15})", re.IGNORECASE)
_CODES_BY_STATUS = {
    401: Code.HTTP_401,
    403: Code.HTTP_403,
    404: Code.HTTP_404,
    408: Code.HTTP_408,
    410: Code.HTTP_410,
    425: Code.HTTP_425,
    429: Code.RATE_LIMITED,
}
#: Content codings that change the bytes of an image
#: (https://www.iana.org/assignments/http-parameters); others that hosts name say nothing.
_COMPRESSIONS = frozenset(("gzip", "x-gzip", "compress", "x-compress", "deflate", "br", "zstd", "dcb", "dcz"))
#: Directives that opt out; "none" means "noindex, nofollow".
_OPT_OUTS = frozenset(("noai", "noimageai", "noindex", "noimageindex", "none"))
#: Directives with a value after a colon; any other word before a colon names a robot.
_WITH_VALUE = frozenset(("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"))


def is_whole(status: int, content_range: str | None) -> bool:
    """Tell whether a response has the whole content of its URL.

    RFC 9110, sections 15.3.1, 15.3.4 and 15.3.7, and RFC 3229, section 10.4.1. A partial one that names no
    range is taken for whole: half an image cannot be decoded.
    """
    if status != 206 or content_range is None:
        return status in (200, 203, 206, 226)
    match = _RANGE.fullmatch(content_range)
    return match is not None and int(match[1]) + 1 == int(match[2])


def code_of_status(status: int) -> Code:
    """Return the code of an HTTP status without content; what is no status of HTTP (999) refuses for good."""
    if status in _CODES_BY_STATUS:
        return _CODES_BY_STATUS[status]
    if 400 <= status < 500:
        return Code.HTTP_4XX
    return Code.HTTP_5XX if 500 <= status < 600 else Code.HTTP_UNEXPECTED


def retry_after(header: str, now: float) -> float | None:
    """Return the seconds to wait by the Retry-After header at this time.

    RFC 9110, section 10.2.3: a number of seconds, or a date.
    """
    if header.isascii() and header.isdigit():
        return float(header[:_MAX_DIGITS])
    try:
        return max(0.0, parsedate_to_datetime(header[:_MAX_DATE]).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def compression(values: Iterable[str]) -> str | None:
    """Return the first coding of Content-Encoding that compresses, or None."""
    names = (part.strip().lower() for value in values for part in value.split(","))
    return next((name for name in names if name in _COMPRESSIONS), None)


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
