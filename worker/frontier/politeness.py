"""How one host is to be treated: how often it may be called, and when it had better be left alone.

Pure: every method is told the time, in seconds by the store's clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import Code
from shared.hosts import HostState

#: Failures in a row after which a host is backed off.
_TRIP = 5
#: Longest pause between two requests that a host's answers can bring about, and the first one, in seconds.
_SLOWEST, _FIRST_SLOW = 60.0, 0.5
#: How much of a longer pause stays after each success.
_RECOVERY = 0.9
#: Longest time that a host can ask to be left alone for, in seconds.
_LONGEST_WAIT = 900.0
#: Failures that say something about the host and not about the URL.
_OF_HOST = frozenset(
    (
        *(Code.DNS_FAILED, Code.CONNECT_FAILED, Code.CONNECT_TIMEOUT, Code.FETCH_TIMEOUT),
        *(Code.FETCH_FAILED, Code.HTTP_5XX, Code.RATE_LIMITED, Code.ROBOTS_UNAVAILABLE),
    )
)


@dataclass(frozen=True, slots=True)
class PolitenessPolicy:
    """How gently hosts are called: connections at a time, seconds between two requests.

    ``backoff_schedule`` holds the seconds for which a failing host is left alone, the first time, the second,
    ..., at least one; after the last it is given up for as long again, and its items fail at once.
    """

    connections: int
    delay: float
    backoff_schedule: Sequence[float]


class HostThrottle:
    """What is known of a host, and what follows from it."""

    def __init__(self, policy: PolitenessPolicy, state: HostState) -> None:
        self._policy = policy
        #: What the setting and the host's robots.txt want.
        self._least_delay = policy.delay
        self._turned_at = 0.0
        self.state = state

    @property
    def delay(self) -> float:
        """Seconds from the start of one request to the start of the next."""
        # Asked for with every request: a function call less.
        return self.state.delay if self.state.delay > self._least_delay else self._least_delay

    @property
    def connections(self) -> int:
        """How many requests there may be at a time: one only, as long as it is not known to be well."""
        return 1 if self.state.trips else self._policy.connections

    @property
    def opens_at(self) -> float:
        """When the next request may begin."""
        state = self.state
        return state.closed_until if state.closed_until > state.next_at else state.next_at

    def is_given_up(self, now: float) -> bool:
        """Tell whether the host is given up: what is asked of it is to fail at once."""
        trips = self.state.trips
        return trips > 0 and trips > len(self._policy.backoff_schedule) and now < self.state.closed_until

    def require_delay(self, delay: float) -> None:
        """Leave as many seconds between two requests as the host's robots.txt wants."""
        self._least_delay = max(self._least_delay, delay)

    def reserve(self, now: float) -> float:
        """Take the next moment in which a request may begin, and return it."""
        start = max(now, self.opens_at)
        self.state.next_at = start + self.delay
        return start

    def request_sent(self, now: float) -> None:
        """Know that a request went out now: connecting may have taken a while since its moment came."""
        self.state.next_at = max(self.state.next_at, now + self.delay)

    def judge(self, code: Code | None, started: float, now: float, wait: float | None = None) -> None:
        """Learn from the outcome of a request that began at ``started``; the host may ask for a pause."""
        if code is None or code not in _OF_HOST:
            self._succeeded()
        elif started >= self._turned_at:  # what was under way before says nothing new
            self._failed(code, now)
            if code is Code.RATE_LIMITED or wait is not None:
                self._slow_down(now, wait)

    def _succeeded(self) -> None:
        state = self.state
        state.failures, state.trips, state.code = 0, 0, None
        state.delay *= _RECOVERY
        if state.delay <= self._policy.delay:
            state.delay = 0.0

    def _failed(self, code: Code, now: float) -> None:
        state, backoff_schedule = self.state, self._policy.backoff_schedule
        state.code = code
        state.failures += 1
        if state.failures >= _TRIP:
            state.closed_until = now + backoff_schedule[min(state.trips, len(backoff_schedule) - 1)]
            # One more failure is enough to back off once more.
            state.failures, state.trips = _TRIP - 1, state.trips + 1
            self._turned_at = now

    def _slow_down(self, now: float, wait: float | None) -> None:
        delay = min(max(2 * self.delay, _FIRST_SLOW), _SLOWEST)
        pause = min(delay if wait is None else max(wait, delay), _LONGEST_WAIT)
        self.state.closed_until = max(self.state.closed_until, now + pause)
        self.state.delay = delay
        self._turned_at = now
