"""Estimate a crawl before it is submitted: profile the list, sample it, and extrapolate."""

import hashlib
import heapq
import math
import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.errors import Code
from shared.estimate import Estimate
from shared.hosts import host_of
from shared.items import ItemState, Result

#: Size of the uniform sample of references.
_KEPT = 20_000
#: Smallest digests kept, to estimate the number of different references.
_SKETCH = 4096
_DIGEST_BYTES = 8
_DIGESTS = 1 << 8 * _DIGEST_BYTES
#: Most references of one host in a sample, unless there are few hosts.
_OF_ONE_HOST = 20


@dataclass(frozen=True, slots=True)
class ListProfile:
    """A profile of a list: its length, the estimated number of different references, and a sample of them."""

    total: int
    distinct: int
    kept: list[str]

    @property
    def shares(self) -> dict[str, float]:
        """The estimated share of each host in the different references."""
        different = dict.fromkeys(self.kept)
        counts = Counter(host for ref in different if (host := host_of(ref)))
        return {host: count / len(different) for host, count in counts.items()}


@dataclass(frozen=True, slots=True)
class SampledReference:
    """A reference of a sample, with its relative weight."""

    ref: str
    host: str
    weight: float


def profile_list(refs: Iterable[str], chance: random.Random) -> ListProfile:
    """Read a list to its end, in constant memory.

    What is kept is a uniform sample (Vitter, "Random sampling with a reservoir", 1985, algorithm R). The
    number of different references is estimated from the smallest digests (Bar-Yossef et al., "Counting
    distinct elements in a data stream", 2002), exactly where there are few.
    """
    kept: list[str] = []
    smallest: list[int] = []
    known: set[int] = set()
    total = 0
    for ref in refs:
        total += 1
        if len(kept) < _KEPT:
            kept.append(ref)
        elif (place := chance.randrange(total)) < _KEPT:
            kept[place] = ref
        _note(smallest, known, _digest(ref))
    return ListProfile(total, _distinct(smallest), kept)


def _digest(ref: str) -> int:
    return int.from_bytes(hashlib.blake2b(ref.encode(), digest_size=_DIGEST_BYTES).digest())


def _note(smallest: list[int], known: set[int], digest: int) -> None:
    """Keep a digest if it is among the smallest; the heap has them negated, so its first is the largest."""
    if digest in known or (len(smallest) == _SKETCH and digest >= -smallest[0]):
        return
    known.add(digest)
    if len(smallest) < _SKETCH:
        heapq.heappush(smallest, -digest)
    else:
        known.remove(-heapq.heapreplace(smallest, -digest))


def _distinct(smallest: list[int]) -> int:
    if len(smallest) < _SKETCH:
        return len(smallest)
    return (_SKETCH - 1) * _DIGESTS // -smallest[0]


def sample(listed: ListProfile, size: int, chance: random.Random) -> list[SampledReference]:
    """Return different references of a list, spread over its hosts: no host has more than its share.

    References left out because their host has enough add to the weight of the others.
    """
    times = Counter(listed.kept)
    refs = list(times)
    chance.shuffle(refs)
    hosts = {ref: host_of(ref) or "" for ref in refs}
    limit = max(_OF_ONE_HOST, math.ceil(size / max(1, len(set(hosts.values())))))
    seen: Counter[str] = Counter()
    taken: list[str] = []
    counts: Counter[str] = Counter()
    for ref in refs:
        seen[hosts[ref]] += times[ref]
        if counts[hosts[ref]] < limit:
            counts[hosts[ref]] += 1
            taken.append(ref)
        if len(taken) == size:
            break
    return [SampledReference(ref, hosts[ref], seen[hosts[ref]] / counts[hosts[ref]]) for ref in taken]


#: Quantile of the normal distribution for an interval that holds 95 % of the time.
_Z = 1.96
#: Codes that mean that a host forbids fetching.
_FORBIDDING = (Code.ROBOTS_DISALLOWED, Code.OPTED_OUT, Code.HTTP_401, Code.HTTP_403)


@dataclass(frozen=True, slots=True)
class CrawlLimits:
    """How fast hosts may be called and images labelled.

    ``connections`` are to one host at a time, ``delays`` and ``default_delay`` seconds between two requests
    to it; ``cores`` label. Hosts that are ``unlimited`` are called as often as images are fetched at all:
    ``concurrency`` at the same time.
    """

    connections: int
    delays: Mapping[str, float]
    default_delay: float
    cores: int
    unlimited: Collection[str] = ()
    concurrency: int = 1


def estimate(
    listed: ListProfile, sampled: Sequence[SampledReference], results: Sequence[Result], limits: CrawlLimits
) -> Estimate:
    """Return what to expect of the whole list; each result of its sample counts by its weight."""
    weights = [one.weight for one in sampled]
    whole = sum(weights)
    good = [result.state is ItemState.SUCCEEDED for result in results]
    success = _part(weights, good) / whole
    low, high = wilson(success, whole**2 / sum(weight**2 for weight in weights))
    size = _mean(weights, [float(result.evidence.bytes or 0) for result in results])
    seconds, bound_by = _time(listed, sampled, results, limits, success)
    return Estimate(
        references=listed.total,
        duplicates=1 - listed.distinct / listed.total,
        sampled=len(sampled),
        success=success,
        low=low,
        high=high,
        causes=tuple(_causes(weights, results)),
        same_content=_part(weights, [result.reused for result in results]) / whole,
        forbidding=tuple(_forbidding(sampled, results)),
        bytes=size * listed.distinct,
        seconds=seconds,
        bound_by=bound_by,
    )


def _causes(weights: Sequence[float], results: Sequence[Result]) -> list[tuple[Code, float]]:
    """Return the share of each cause of failure, the largest first."""
    parts: dict[Code, float] = {}
    for weight, result in zip(weights, results, strict=True):
        if result.code is not None:
            parts[result.code] = parts.get(result.code, 0.0) + weight / sum(weights)
    return sorted(parts.items(), key=lambda part: -part[1])


def wilson(rate: float, count: float, quantile: float = _Z) -> tuple[float, float]:
    """Return the interval in which the true rate lies, given one of so many (effective) observations.

    ``quantile`` of the normal distribution sets the confidence, 95 % by default.

    Wilson, "Probable inference, the law of succession, and statistical inference", 1927; the effective number
    of weighted observations is Kish's (Survey Sampling, 1965).
    """
    scale = 1 + quantile**2 / count
    middle = (rate + quantile**2 / (2 * count)) / scale
    width = quantile * math.sqrt(rate * (1 - rate) / count + quantile**2 / (4 * count**2)) / scale
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
    limits: CrawlLimits,
    success: float,
) -> tuple[float, str | None]:
    """Return how long the list takes: as long as its slowest host, or as labelling takes here."""
    fetching: dict[str, list[float]] = {}
    for one, result in zip(sampled, results, strict=True):
        fetching.setdefault(one.host, []).append((result.evidence.fetch_ms or 0) / 1000)
    times = {
        host: share * listed.distinct * _seconds_a_request(host, fetching.get(host), limits)
        for host, share in listed.shares.items()
    }
    labelling = [result.evidence.label_ms for result in results if result.evidence.label_ms]
    each = sum(labelling) / len(labelling) / 1000 if labelling else 0.0
    by_cores = listed.distinct * success * each / limits.cores
    slowest = max(times, key=lambda host: times[host], default=None)
    if slowest is None or times[slowest] <= by_cores:
        return by_cores, None
    return times[slowest], slowest


def _seconds_a_request(host: str, fetching: Sequence[float] | None, limits: CrawlLimits) -> float:
    mean = sum(fetching) / len(fetching) if fetching else 0.0
    if host in limits.unlimited:
        return mean / limits.concurrency
    return max(limits.delays.get(host, 0.0), limits.default_delay, mean / limits.connections)
