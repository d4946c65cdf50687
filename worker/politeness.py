"""The politeness rules for one host: how often it may be called, and when it is left alone.

Pure: no clock and no I/O. Every method is told the time, in seconds by the store's clock.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.errors import Code
from shared.hosts import HostState

#: Failures in a row after which a host is backed off, if no more requests than that are under way: those that
#: fail are the first to come back.
_FAILURES = 5
#: The same of failures to reach a host of our own: it is not one of many, and somebody waits to hear it.
_UNREACHED_OWN = 2
#: Longest delay between two requests that a host's answers can cause, and the first one, in seconds.
_LONGEST_DELAY, _FIRST_DELAY = 60.0, 0.5
#: How much of a longer delay stays after each success, and the shortest one that is kept, in seconds.
_RECOVERY, _SHORTEST_DELAY = 0.9, 0.01
#: The longest that a try of a host takes until it has failed, in seconds: its name, robots.txt, and image.
_LONGEST_TRY = 120.0
#: Longest Retry-After that is honoured, in seconds.
_LONGEST_RETRY_AFTER = 900.0
#: Failures to reach the host, and all that say something about the host and not about the URL.
_UNREACHED = frozenset((Code.DNS_FAILED, Code.CONNECT_FAILED, Code.CONNECT_TIMEOUT))
_HOST_FAILURES = _UNREACHED | frozenset(
    (Code.FETCH_TIMEOUT, Code.FETCH_FAILED, Code.HTTP_5XX, Code.RATE_LIMITED, Code.ROBOTS_UNAVAILABLE)
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
    is_own: bool = False

    def without_limits(self) -> "PolitenessPolicy":
        """Return the policy for our own hosts: called as fast as we can, but backed off like others."""
        return replace(self, connections=sys.maxsize, delay=0.0, is_own=True)

    @property
    def longest_pause(self) -> float:
        """The most seconds that a host is left alone."""
        longest_delay = max(self.delay, _LONGEST_DELAY)
        return max(*self.backoff_schedule, _LONGEST_RETRY_AFTER) + longest_delay


class HostThrottle:
    """Decides when a host may be called, by what is known of it, which is in ``state``."""

    def __init__(self, policy: PolitenessPolicy, state: HostState) -> None:
        self._policy = policy
        #: The setting, or the host's robots.txt if that wants more.
        self._least_delay = policy.delay
        self._changed_at = 0.0
        self.state = state

    @property
    def delay(self) -> float:
        """Seconds from the start of one request to the start of the next."""
        # Asked for with every request: a function call less.
        return self.state.delay if self.state.delay > self._least_delay else self._least_delay

    @property
    def connections(self) -> int:
        """How many requests may run at a time: one only, as long as a host has not recovered."""
        return 1 if self.state.trips else self._policy.connections

    @property
    def opens_at(self) -> float:
        """When the next request may start."""
        state = self.state
        return state.closed_until if state.closed_until > state.next_at else state.next_at

    def is_given_up(self, now: float) -> bool:
        """Tell whether the host is given up: its items are to fail at once."""
        trips = self.state.trips
        return trips > 0 and trips > len(self._policy.backoff_schedule) and now < self.state.closed_until

    def forget_far_times(self, now: float) -> None:
        """Drop times that no rule sets: the clock was ahead when they were set."""
        farthest, state = now + self._policy.longest_pause, self.state
        if state.closed_until > farthest:
            state.closed_until = now
        if state.next_at > farthest:
            state.next_at = now
        self._changed_at = min(self._changed_at, now)

    def require_delay(self, delay: float) -> None:
        """Leave at least so many seconds between two requests, as the host's robots.txt wants."""
        self._least_delay = max(self._least_delay, delay)

    def reserve(self, now: float) -> float:
        """Take the next moment in which a request may start, and return it."""
        start = max(now, self.opens_at)
        self.state.next_at = start + self.delay
        return start

    def request_sent(self, now: float) -> None:
        """Count the delay from now: connecting may have taken a while since the request started."""
        self.state.next_at = max(self.state.next_at, now + self.delay)

    def record_outcome(
        self,
        code: Code | None,
        started: float,
        now: float,
        retry_after: float | None = None,
        under_way: int = 0,
    ) -> None:
        """Learn from the outcome of a request, while so many others are ``under_way``.

        A host may want a pause of ``retry_after`` seconds.
        """
        if code is None or code not in _HOST_FAILURES:
            self._succeeded()
        elif started >= self._changed_at:  # requests that were under way before say nothing new
            self._failed(code, now, under_way)
            if code is Code.RATE_LIMITED or retry_after is not None:
                self._slow_down(now, retry_after)
            self._note_end(now, retry_after)

    def _succeeded(self) -> None:
        state = self.state
        state.failures, state.trips, state.code, state.gives_up_at = 0, 0, None, 0.0
        state.delay *= _RECOVERY
        if state.delay <= max(self._policy.delay, _SHORTEST_DELAY):
            state.delay = 0.0

    def _failed(self, code: Code, now: float, under_way: int) -> None:
        state, schedule = self.state, self._policy.backoff_schedule
        state.code = code
        state.failures += 1
        enough = _UNREACHED_OWN if self._policy.is_own and code in _UNREACHED else _FAILURES
        if state.failures >= max(enough, under_way):
            state.closed_until = now + schedule[min(state.trips, len(schedule) - 1)]
            # One more failure is enough to back off once more.
            state.failures, state.trips = _FAILURES - 1, state.trips + 1
            self._changed_at = now

    def _note_end(self, now: float, retry_after: float | None) -> None:
        """Note by when the host is given up if it goes on failing, and asking for the same pause."""
        state, later = self.state, self._policy.backoff_schedule[self.state.trips :]
        if state.trips > len(self._policy.backoff_schedule):
            state.gives_up_at = now
        elif state.trips:
            pause = min(retry_after or 0.0, _LONGEST_RETRY_AFTER)
            steps = (max(step, pause) + _LONGEST_TRY for step in later)
            state.gives_up_at = state.closed_until + _LONGEST_TRY + sum(steps)

    def _slow_down(self, now: float, retry_after: float | None) -> None:
        if self._policy.is_own:  # it is left alone as long as it asks, and then called as fast as before
            self.state.closed_until = max(
                self.state.closed_until, now + min(retry_after or 0.0, _LONGEST_RETRY_AFTER)
            )
            return
        delay = min(max(2 * self.delay, _FIRST_DELAY), _LONGEST_DELAY)
        pause = min(delay if retry_after is None else max(retry_after, delay), _LONGEST_RETRY_AFTER)
        self.state.closed_until = max(self.state.closed_until, now + pause)
        self.state.delay = delay
        self._changed_at = now
