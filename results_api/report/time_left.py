"""Estimate the time left: each host at its own rate limit, the whole at the workers' rate."""

from collections import Counter
from dataclasses import replace
from datetime import datetime

from shared.errors import Code
from shared.items import ItemState, JobState
from shared.store.store import Job
from shared.store.summaries import RECENT, Ending, HostLoad, Summary, in_utc
from shared.time_left import RetryGroup, TimeLeft, Waiting

#: States in which there is something left to wait for.
_GOES_ON = (JobState.SUBMITTING, JobState.RUNNING, JobState.PAUSED)


def time_left(summary: Summary) -> TimeLeft | None:
    """Return what is left of a job, or nothing if it is over."""
    items = summary.job.submitted - sum(ending.count for ending in summary.endings)
    if summary.job.state not in _GOES_ON or items <= 0:
        return None
    waiting = summary.waiting
    moving = items - (min(waiting.count, items) if waiting else 0)
    left = estimate(moving, present_rate(summary), _moving(summary.busiest, waiting))
    return replace(left, items=items, waiting=waiting, has_worker=summary.has_worker)


def _moving(busiest: tuple[HostLoad, ...], waiting: Waiting | None) -> tuple[HostLoad, ...]:
    """Return the hosts with the images that do not wait for another attempt, the longest first."""
    held = Counter[str | None]()
    for group in waiting.groups if waiting else ():
        held[group.host] += group.count
    loads = (_without(load, held[load.host]) if held[load.host] else load for load in busiest)
    return tuple(sorted((load for load in loads if load.left > 0), key=lambda load: -load.seconds))


def _without(load: HostLoad, waiting: int) -> HostLoad:
    """Return a host without images that wait; the others are called at its pace."""
    left = load.left - waiting
    return replace(load, left=left, seconds=0.0 if load.blocked else load.closed_for + left * load.delay)


def hosts_with_waits(summary: Summary) -> tuple[HostLoad, ...]:
    """Return the hosts of which something is left, each closed until the next attempt at what waits."""
    groups = {group.host: group for group in reversed(summary.waiting.groups)} if summary.waiting else {}
    loads = (_closed(load, groups.get(load.host), summary.at) for load in summary.busiest)
    return tuple(sorted(loads, key=lambda load: -load.seconds))


def _closed(load: HostLoad, group: RetryGroup | None, at: datetime) -> HostLoad:
    if group is None or load.blocked:
        return load
    closed_for = max(load.closed_for, (group.next_at - at).total_seconds())
    code = load.code or (Code(group.code) if group.code else None)
    return replace(load, closed_for=closed_for, code=code, seconds=closed_for + load.left * load.delay)


def estimate(items: int, rate: float, busiest: tuple[HostLoad, ...]) -> TimeLeft:
    """Return the time that these items take at this rate, with these hosts, the longest first."""
    by_rate = items / rate if rate and items else None
    if not busiest:
        return TimeLeft(items, rate, by_rate)
    first = busiest[0]
    others = _others(items - first.left, rate, busiest[1:])
    seconds = max(first.seconds, by_rate or 0.0)
    if first.seconds > (others or 0.0):
        return TimeLeft(items, rate, seconds, first.host, others)
    return TimeLeft(items, rate, seconds if by_rate is not None or seconds else None)


def _others(items: int, rate: float, others: tuple[HostLoad, ...]) -> float | None:
    """Return the seconds that all hosts but the first take, or None if unknown."""
    slowest = others[0].seconds if others else 0.0
    if items <= 0:
        return slowest
    return max(slowest, items / rate) if rate else None


def present_rate(summary: Summary) -> float:
    """Return how many items end a second: in the last minutes, or in the whole run if none did in these."""
    worked = [ending for ending in summary.endings if ending.state is not ItemState.CANCELLED]
    age = (summary.at - in_utc(summary.job.created_at)).total_seconds()
    recent = sum(ending.recent for ending in worked)
    if recent and age > 0:
        return recent / min(age, RECENT.total_seconds())
    return _whole_rate(summary.job, worked)


def _whole_rate(job: Job, worked: list[Ending]) -> float:
    if not worked:
        return 0.0
    last = max(ending.last_at for ending in worked)
    taken = (last - in_utc(job.created_at)).total_seconds()
    return sum(ending.count for ending in worked) / taken if taken > 0 else 0.0
