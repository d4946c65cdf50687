"""Numbers, durations, sizes, rates and causes, in words for people."""

import math

from shared.errors import Code, printable

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_SIZES = ("B", "kB", "MB", "GB", "TB", "PB")

#: Why images of a host end with a code, to follow "because"; other codes have their sentence.
_BECAUSE = {
    Code.URL_NOT_ALLOWED: "{host} is not a public host, or their URLs are neither http nor https",
    Code.DNS_FAILED: "the name {host} could not be resolved",
    Code.CONNECT_FAILED: "{host} refuses connections",
    Code.CONNECT_TIMEOUT: "{host} does not respond in time",
    Code.TLS_FAILED: "the TLS handshake with {host} fails",
    Code.FETCH_TIMEOUT: "{host} sends them too slowly",
    Code.FETCH_FAILED: "the connection to {host} breaks, or its HTTP is invalid",
    Code.TOO_MANY_REDIRECTS: "{host} redirects too often",
    Code.RATE_LIMITED: "{host} answers 429",
    Code.HTTP_401: "{host} requires a login (401)",
    Code.HTTP_403: "{host} forbids access to them (403)",
    Code.HTTP_404: "{host} has nothing at their URLs (404)",
    Code.HTTP_408: "{host} reports request timeouts (408)",
    Code.HTTP_410: "{host} removed them for good (410)",
    Code.HTTP_425: "{host} asks to retry later (425)",
    Code.HTTP_4XX: "{host} rejects the requests (4xx)",
    Code.HTTP_5XX: "{host} has an internal error (5xx)",
    Code.HTTP_UNEXPECTED: "{host} responds with an unexpected status",
    Code.HOST_DOWN: "{host} failed repeatedly, and was backed off",
    Code.ROBOTS_DISALLOWED: "the robots.txt of {host} disallows them",
    Code.OPTED_OUT: "{host} opts out of their use (X-Robots-Tag)",
    Code.HOST_BLOCKED: "{host} was blocked by `smartsight hosts block`",
    Code.PLACEHOLDER: "{host} sends a placeholder in their place",
    Code.TOO_MANY_BYTES: "{host} sends files above the byte limit",
    Code.TOO_MANY_PIXELS: "{host} sends pictures above the pixel limit",
    Code.EMPTY_FILE: "{host} sends empty files",
    Code.NOT_AN_IMAGE: "{host} sends something else than images",
    Code.UNSUPPORTED_FORMAT: "{host} sends unsupported formats",
    Code.IMAGE_TRUNCATED: "{host} sends truncated images",
    Code.IMAGE_CORRUPT: "{host} sends corrupt images",
}


def number(count: int) -> str:
    """Return a number with thousands separators."""
    return f"{count:,}"


def share(part: int, whole: int) -> str:
    """Return a part in per cent: never 0 % unless none, never 100 % unless all."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.1f}".removesuffix(".0") + " %"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: 12 s, 40 min, 3 h 10 min, 2 d 4 h."""
    if round(seconds) < _MINUTE:
        return f"{math.ceil(seconds) if seconds < 1 else round(seconds)} s"
    minutes = round(seconds / _MINUTE)
    if minutes < _HOUR // _MINUTE:
        return f"{minutes} min"
    if minutes < _DAY // _MINUTE:
        return _two(minutes, "min", 60, "h")
    return _two(round(seconds / _HOUR), "h", 24, "d")


def _two(count: int, unit: str, larger: int, larger_unit: str) -> str:
    whole, rest = divmod(count, larger)
    return f"{whole} {larger_unit} {rest} {unit}" if rest else f"{whole} {larger_unit}"


def size(count: float) -> str:
    """Return a number of bytes in the unit that suits it."""
    for unit in _SIZES:
        if count < 1000 or unit == _SIZES[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def pace(delay: float) -> str:
    """Return a rate limit in words, given the seconds between two requests."""
    if delay > 1:
        return f"1 request every {delay:g} s"
    rate = f"{1 / delay:.3g}"
    return f"{rate} request{'s' if rate != '1' else ''}/s"


def rate(per_second: float) -> str:
    """Return images a second, a minute or an hour, whichever reads best."""
    for factor, unit in ((1, "s"), (_MINUTE, "min")):
        if per_second * factor >= 1:
            return (
                f"{per_second * factor:.3g} images/{unit}"
                if per_second < 100
                else f"{per_second:,.0f} images/s"
            )
    return f"{per_second * _HOUR:.3g} images/h"


def because(code: Code, host: str | None) -> str:
    """Return why images of a host ended with a code, to follow their count."""
    if host is None:
        return f": {code.sentence}"
    if code in _BECAUSE:
        return " because " + _BECAUSE[code].format(host=printable(host))
    return f" at {printable(host)}: {code.sentence}"
