"""What a crawl will come to, judged by a sample of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from producer.sampling import ListProfile, SampledReference
from shared.errors import Code
from shared.items import ItemState, Result

#: Quantile of the normal distribution for an interval that holds 95 % of the time.
_Z = 1.96
#: Answers that say that a host does not want this.
_FORBIDDING = (Code.ROBOTS_DISALLOWED, Code.OPTED_OUT, Code.HTTP_401, Code.HTTP_403)


@dataclass(frozen=True, slots=True)
class CrawlLimits:
    """How fast hosts may be called and images labelled.

    Connections to a host at a time, seconds between two requests to each host, and the cores that label.
    """

    connections: int
    delays: Mapping[str, float]
    default_delay: float
    cores: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is to be expected of a whole list, from its sample; rates are parts of 1.

    ``low`` to ``high`` holds the success rate with 95 % confidence. ``seconds`` is bounded by ``bound_by``, a
    host that may not be called faster, or by the cores of this machine if there is none.
    """

    references: int
    duplicates: float
    sampled: int
    success: float
    low: float
    high: float
    causes: list[tuple[Code, float]]
    same_content: float
    forbidding: list[tuple[str, Code]]
    bytes: float
    seconds: float
    bound_by: str | None


def estimate(
    listed: ListProfile, sampled: Sequence[SampledReference], results: Sequence[Result], pace: CrawlLimits
) -> Estimate:
    """Return what the results of a sample say of the whole list, each as far as it stands for others."""
    weights = [one.weight for one in sampled]
    whole = sum(weights)
    good = [result.state is ItemState.SUCCEEDED for result in results]
    success = _part(weights, good) / whole
    low, high = wilson(success, whole**2 / sum(weight**2 for weight in weights))
    size = _mean(weights, [float(result.evidence.bytes or 0) for result in results])
    seconds, bound_by = _time(listed, sampled, results, pace, success)
    return Estimate(
        references=listed.total,
        duplicates=1 - listed.distinct / listed.total,
        sampled=len(sampled),
        success=success,
        low=low,
        high=high,
        causes=_causes(weights, results),
        same_content=_part(weights, [result.reused for result in results]) / whole,
        forbidding=_forbidding(sampled, results),
        bytes=size * listed.distinct,
        seconds=seconds,
        bound_by=bound_by,
    )


def _causes(weights: Sequence[float], results: Sequence[Result]) -> list[tuple[Code, float]]:
    """Return the part of the whole that each cause costs, the largest first."""
    parts: dict[Code, float] = {}
    for weight, result in zip(weights, results, strict=True):
        if result.code is not None:
            parts[result.code] = parts.get(result.code, 0.0) + weight / sum(weights)
    return sorted(parts.items(), key=lambda part: -part[1])


def wilson(rate: float, count: float) -> tuple[float, float]:
    """Return the interval in which the true rate lies, given one of so many (effective) observations.

    Wilson, "Probable inference, the law of succession, and statistical inference", 1927; the effective number
    of weighted observations is Kish's (Survey Sampling, 1965).
    """
    scale = 1 + _Z**2 / count
    middle = (rate + _Z**2 / (2 * count)) / scale
    width = _Z * math.sqrt(rate * (1 - rate) / count + _Z**2 / (4 * count**2)) / scale
    return max(0.0, middle - width), min(1.0, middle + width)


def _part(weights: Sequence[float], chosen: Sequence[bool]) -> float:
    return sum(weight for weight, is_chosen in zip(weights, chosen, strict=True) if is_chosen)


def _mean(weights: Sequence[float], values: Sequence[float]) -> float:
    return sum(weight * value for weight, value in zip(weights, values, strict=True)) / sum(weights)


def _forbidding(sampled: Sequence[SampledReference], results: Sequence[Result]) -> list[tuple[str, Code]]:
    found = {
        (one.host, result.code): None
        for one, result in zip(sampled, results, strict=True)
        if result.code in _FORBIDDING
    }
    return [(host, code) for host, code in found if code is not None]


def _time(
    listed: ListProfile,
    sampled: Sequence[SampledReference],
    results: Sequence[Result],
    pace: CrawlLimits,
    success: float,
) -> tuple[float, str | None]:
    """Return how long the list takes: as long as its slowest host, or as labelling takes here."""
    fetching: dict[str, list[float]] = {}
    for one, result in zip(sampled, results, strict=True):
        fetching.setdefault(one.host, []).append((result.evidence.fetch_ms or 0) / 1000)
    times = {
        host: share * listed.distinct * _seconds_a_request(host, fetching.get(host), pace)
        for host, share in listed.shares.items()
    }
    labelling = [result.evidence.label_ms for result in results if result.evidence.label_ms]
    each = sum(labelling) / len(labelling) / 1000 if labelling else 0.0
    by_cores = listed.distinct * success * each / pace.cores
    slowest = max(times, key=lambda host: times[host], default=None)
    if slowest is None or times[slowest] <= by_cores:
        return by_cores, None
    return times[slowest], slowest


def _seconds_a_request(host: str, fetching: Sequence[float] | None, pace: CrawlLimits) -> float:
    mean = sum(fetching) / len(fetching) if fetching else 0.0
    return max(pace.delays.get(host, 0.0), pace.default_delay, mean / pace.connections)
