"""Where a time line is labelled: at round times, with the day where it changes."""

from collections.abc import Sequence
from datetime import UTC, datetime

_DAY = 86_400
#: Seconds between two labels.
_INTERVALS = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
    *(3600 * hours for hours in (1, 2, 3, 6, 12)),
    *(_DAY * days for days in (1, 2, 7, 14, 30, 90, 365, 3650)),
)


def ticks(first: float, last: float, most: int) -> list[int]:
    """Return round times, in seconds since 1970, between these two: at most so many, and at least one."""
    interval = next((step for step in _INTERVALS if (last - first) / step <= most - 1), _INTERVALS[-1])
    start = -int(-first // interval) * interval
    return list(range(start, int(last) + 1, interval)) or [int(first)]


def tick_labels(times: Sequence[int]) -> list[str]:
    """Return what to write at each of these times, in UTC."""
    if len(times) > 1 and times[1] - times[0] >= _DAY:
        return _on_two_lines(times, "%-d %b", "%Y")
    whole_minutes = all(time % 60 == 0 for time in times)
    return _on_two_lines(times, "%H:%M" if whole_minutes else "%H:%M:%S", "%-d %b")


def _on_two_lines(times: Sequence[int], form: str, larger_form: str) -> list[str]:
    """Return labels whose larger unit stands below them where it is another than before."""
    labels, before = [], ""
    for time in times:
        moment = datetime.fromtimestamp(time, UTC)
        larger = moment.strftime(larger_form)
        labels.append(moment.strftime(form) + (f"\n{larger}" if larger != before else ""))
        before = larger
    return labels
