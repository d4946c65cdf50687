"""What is left of a job: how long it takes, what waits for another attempt, and the words for both.

The words are said here alone: by the command line, on the pages, in the report.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.errors import printable
from shared.times import time_text
from shared.words import clock_time, duration, number, rate

#: Groups of waiting images that are named.
_NAMED = 3
#: Added to a time "at the latest", which is told to the minute.
_ALMOST_A_MINUTE = timedelta(seconds=59)


@dataclass(frozen=True, slots=True)
class RetryGroup:
    """Images of one host that failed with the same code, and when the first of them is attempted again."""

    host: str | None
    code: str | None
    count: int
    next_at: datetime

    @property
    def cause(self) -> str:
        """Why they wait."""
        return ", ".join(printable(word) for word in (self.code, self.host) if word)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "RetryGroup":
        """Parse the API's object."""
        next_at = datetime.fromisoformat(data["next_at"])
        return cls(data.get("host"), data.get("code"), int(data["count"]), next_at)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Images that wait for another attempt; there are more than ``count`` if that is not ``is_all``.

    The first attempt is at ``next_at``; if all fail, the last image has its result at ``ends_by``, which is
    None where the host sets the pace. ``groups`` are by host and cause, the largest first.
    """

    count: int
    is_all: bool
    next_at: datetime
    ends_by: datetime | None
    groups: tuple[RetryGroup, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the API's object; times are in UTC."""
        groups = [
            {"host": one.host, "code": one.code, "count": one.count, "next_at": time_text(one.next_at)}
            for one in self.groups[:_NAMED]
        ]
        ends_by = None if self.ends_by is None else time_text(self.ends_by)
        times = {"next_at": time_text(self.next_at), "ends_by": ends_by}
        return {"count": self.count, "is_all": self.is_all, **times, "groups": groups}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Waiting":
        """Parse the API's object."""
        ends_by = data.get("ends_by")
        return cls(
            count=int(data["count"]),
            is_all=bool(data.get("is_all", True)),
            next_at=datetime.fromisoformat(data["next_at"]),
            ends_by=datetime.fromisoformat(ends_by) if ends_by else None,
            groups=tuple(map(RetryGroup.from_json, data.get("groups") or ())),
        )


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """What is left of a job: ``items``, of which some may be ``waiting`` for another attempt.

    The others take ``seconds`` at ``rate`` a second, None if unknown. ``host`` is the one that takes longer
    than all others together, which take ``others_seconds``; of a job whose hosts were not looked at,
    ``knows_hosts`` is false. ``has_worker`` tells whether a worker was seen lately.
    """

    items: int
    rate: float
    seconds: float | None
    host: str | None = None
    others_seconds: float | None = None
    knows_hosts: bool = True
    waiting: Waiting | None = None
    has_worker: bool = True

    @property
    def moving(self) -> int:
        """How many images wait for nothing but their turn."""
        return max(0, self.items - (self.waiting.count if self.waiting else 0))


def sentences(left: TimeLeft, now: datetime, is_running: bool = True) -> Iterator[str]:
    """Yield what is to be said of what is left of a job, running or paused, in whole sentences."""
    if is_running and not left.has_worker:
        yield f"No worker was seen in the last minute, and {_are_left(left.items)}: is one running?"
    elif left.moving:
        yield _how_long(left, is_running)
    if is_running and left.waiting:
        yield f"{_who_waits(left.waiting)} {_for_what(left.waiting, now)}."
        if left.waiting.ends_by:
            by = clock_time(left.waiting.ends_by + _ALMOST_A_MINUTE, now)
            yield f"If that fails again and again, the last of them ends by {by}."


def in_short(left: TimeLeft, now: datetime) -> str:
    """Return the same of a running job in a few words, for a line that is shown again and again."""
    if not left.has_worker:
        return "no worker was seen in the last minute"
    words = []
    if left.moving:
        words.append("time left unknown" if left.seconds is None else f"about {duration(left.seconds)} left")
    if left.waiting:
        words.append(f"{_who_waits(left.waiting)} {_for_what(left.waiting, now)}")
    return ", ".join(words)


def how_to_give_up(job_id: int, api_option: str = "") -> str:
    """Return how to end what waits for another attempt, on the command line."""
    return f"`smartsight give-up {job_id}{api_option}` ends what waits now, with its last error."


def _how_long(left: TimeLeft, is_running: bool) -> str:
    sentence = ("" if is_running else "Once it is resumed, ") + _bound(left)
    return sentence if left.host else sentence[0].upper() + sentence[1:]


def _bound(left: TimeLeft) -> str:
    """Return how long it takes, and which host or rate decides that."""
    if left.seconds is None:
        return f"{_are_left(left.moving)}; there is no estimate until more are done."
    if left.host is None:
        about = f"about {duration(left.seconds)} left for {_images(left.moving)}"
        at_rate = f" at {rate(left.rate)}" if left.rate else ""
        return f"{about}{at_rate}{'; no single host slows the job down' if left.knows_hosts else ''}."
    whole = f"{printable(left.host)} takes longest: {duration(left.seconds)}"
    if left.others_seconds is None:
        return f"{whole} or more; there is no estimate for the others yet."
    others = f" in {duration(left.others_seconds)}" if left.others_seconds else ""
    return f"{whole}; all others are done{others}."


def _images(count: int) -> str:
    return f"{number(count)} image{'' if count == 1 else 's'}"


def _are_left(count: int) -> str:
    return f"{_images(count)} {'is' if count == 1 else 'are'} left"


def _who_waits(waiting: Waiting) -> str:
    more = "" if waiting.is_all else "more than "
    return f"{more}{_images(waiting.count)} {'waits' if waiting.count == 1 else 'wait'} for another try"


def _for_what(waiting: Waiting, now: datetime) -> str:
    """Return when the next attempt is, and why it is needed."""
    at = clock_time(waiting.next_at, now)
    named = waiting.groups[:_NAMED]
    if len(named) == 1 and named[0].count == waiting.count:
        return f"at {at} ({named[0].cause})"
    parts = [f"{number(one.count)} ({one.cause})" for one in named]
    if rest := waiting.count - sum(one.count for one in named):
        parts.append(f"{number(rest)} more" if rest > 0 else "more")
    return f"from {at} on: {', '.join(parts)}"
