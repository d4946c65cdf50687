"""Numbers, durations, sizes, rates and times, in words for people."""

import math
from datetime import datetime

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_SIZES = ("B", "kB", "MB", "GB", "TB", "PB")


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
    if not delay:
        return "no limit"
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


def clock_time(time: datetime, now: datetime) -> str:
    """Return a time in UTC: to the second if it is near, with its date if that is not today's."""
    near = abs((time - now).total_seconds()) < 2 * _MINUTE
    date = "" if time.date() == now.date() else f"{time.day} {time:%b} "
    return f"{date}{time:%H:%M:%S}" + " UTC" if near else f"{date}{time:%H:%M} UTC"
