"""The one form of times in what programs read: RFC 3339, UTC, to the second, such as 2026-11-25T09:00:00Z."""

from datetime import UTC, datetime

TIME_FORM = "%Y-%m-%dT%H:%M:%SZ"


def time_text(time: datetime) -> str:
    """Return a time in the one form; it must name its time zone."""
    return time.astimezone(UTC).strftime(TIME_FORM)
