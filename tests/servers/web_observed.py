"""What a host of the tests' web saw of its callers."""

import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

ROBOTS = "/robots.txt"


@dataclass(frozen=True)
class Seen:
    """One request: when it came (seconds, monotonic clock), and its headers in lower case."""

    started: float
    target: str
    headers: Mapping[str, str]


class Observed:
    """The web writes, and tests read, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: list[Seen] = []
        self._counts: Counter[str] = Counter()
        self._sent: Counter[str] = Counter()
        #: How many connections were made in all, and requests that named another host than they reached.
        self.connections = 0
        self.misdirected = 0
        #: How often 304 was the answer.
        self.not_modified = 0
        self.open_connections = 0
        self.open_requests = 0
        self.most_connections = 0
        self.most_requests = 0

    @property
    def seen(self) -> list[Seen]:
        with self._lock:
            return list(self._seen)

    @property
    def requests(self) -> Counter[str]:
        """How often each path was asked for, with what follows a question mark."""
        with self._lock:
            return self._counts.copy()

    @property
    def sent(self) -> Counter[str]:
        """How many bytes each path sent, heads included, as far as the kernel took them from us.

        Up to some hundred thousand of them the caller may not have read yet.
        """
        with self._lock:
            return self._sent.copy()

    def pictures(self) -> int:
        """Return how many requests there were, robots.txt aside."""
        return sum(count for target, count in self.requests.items() if target != ROBOTS)

    def smallest_gap(self, aside: Collection[str] = (ROBOTS,)) -> float:
        """Return the shortest time between two requests' starts in seconds, some paths aside."""
        starts = [seen.started for seen in self.seen if seen.target not in aside]
        return min((late - early for early, late in pairwise(starts)), default=float("inf"))

    @contextmanager
    def connection(self) -> Iterator[None]:
        """Count a connection while it is open."""
        with self._lock:
            self.connections += 1
            self.open_connections += 1
            self.most_connections = max(self.most_connections, self.open_connections)
        try:
            yield
        finally:
            with self._lock:
                self.open_connections -= 1

    @contextmanager
    def request(self, target: str, headers: Mapping[str, str], ago: float) -> Iterator[int]:
        """Count a request, which came so many seconds ago, while it is being answered.

        Say how many of this target there were.
        """
        with self._lock:
            self._seen.append(Seen(time.monotonic() - ago, target, headers))
            self._counts[target] += 1
            times = self._counts[target]
            self.open_requests += 1
            self.most_requests = max(self.most_requests, self.open_requests)
        try:
            yield times
        finally:
            with self._lock:
                self.open_requests -= 1

    def count_sent(self, target: str, size: int) -> None:
        with self._lock:
            self._sent[target] += size
