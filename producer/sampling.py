"""Look at a list once and know it roughly: how long it is, how much of it repeats, and a sample of it."""

import hashlib
import heapq
import math
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from shared.hosts import host_of

#: References kept of a list, each as likely as any other.
_KEPT = 20_000
#: Smallest digests kept, to estimate how many different references there are.
_SKETCH = 4096
_DIGEST_BYTES = 8
_DIGESTS = 1 << 8 * _DIGEST_BYTES
#: How many of one host are in a sample at most, unless there are few hosts.
_OF_ONE_HOST = 20


@dataclass(frozen=True, slots=True)
class ListProfile:
    """A list at a glance: its length, about how many references are different, and some of them."""

    total: int
    distinct: int
    kept: list[str]

    @property
    def shares(self) -> dict[str, float]:
        """Part of the different references that each host has, as far as what was kept tells."""
        different = dict.fromkeys(self.kept)
        counts = Counter(host for ref in different if (host := host_of(ref)))
        return {host: count / len(different) for host, count in counts.items()}


@dataclass(frozen=True, slots=True)
class SampledReference:
    """A reference of a sample, and how many references of the list it stands for, in relation to others."""

    ref: str
    host: str
    weight: float


def profile_list(refs: Iterable[str], chance: random.Random) -> ListProfile:
    """Read a list to its end, in memory that does not grow with it.

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
    """Keep a digest among the smallest; the heap holds them negated, so that its first is the largest."""
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
    """Return different references of a list, spread over its hosts: no host has more than its part.

    What is left out because its host has enough is counted, and adds to the weight of what is not.
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
