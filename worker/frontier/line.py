"""The deliveries that wait in this process for their turn at one host."""

from collections import deque
from dataclasses import dataclass, field

from shared.broker import Delivery
from shared.errors import Code
from shared.hosts import HostState
from shared.store.store import Waiting
from worker.frontier.politeness import HostThrottle, PolitenessPolicy

#: Most deliveries that wait in this process for one host.
_LONGEST = 8
#: And for a host that is not called at all: they are told so at once.
_SHUT = 1000
#: How long a delivery waits in this process, in seconds; then in the store, where it holds up nobody.
PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class WaitingDelivery(Delivery):
    """A delivery that came from the store, where it waited for its host in this row."""

    row: int = 0


@dataclass(frozen=True, slots=True)
class Errand:
    """A delivery on its way: after ``hops`` redirects it is to ask for ``url``."""

    delivery: Delivery
    url: str
    hops: int = 0

    @classmethod
    def of_waiting(cls, item: Waiting) -> "Errand":
        """Return the errand of an item that waited in the store."""
        return cls(WaitingDelivery(item.message, 0, item.redeliveries, item.id or 0), item.url, item.hops)

    def as_waiting(self, host: str) -> Waiting:
        """Return what the store keeps of it."""
        delivery = self.delivery
        row = delivery.row if isinstance(delivery, WaitingDelivery) else None
        return Waiting(delivery.message, host, self.url, self.hops, row)


@dataclass(eq=False)
class Line:
    """One host in this process; it may be called while it is held. Times are by the store's clock."""

    host: str
    policy: PolitenessPolicy
    #: How long a request may take, in seconds: it must be over while the host is still held.
    lead: float
    throttle: HostThrottle | None = None
    #: Until when nobody else calls the host.
    held_until: float = 0.0
    used_at: float = 0.0
    active: int = 0
    #: When it is looked at next, while it stands in the schedule.
    queued_at: float | None = None
    #: Requests since the store was told.
    requests: int = 0
    #: The one that has been let go and has not asked yet.
    launching: Errand | None = None
    waiting: deque[tuple[Errand, float]] = field(default_factory=deque)

    def hold(self, state: HostState, until: float) -> None:
        """Take the host over as the store knows it; or hold it longer, as we know it better."""
        if self.throttle is None:
            self.throttle = HostThrottle(self.policy, state)
        elif self.throttle.state.generation != state.generation:
            self.throttle.state = state  # people decided something
        self.held_until = until

    def lose(self) -> None:
        """Know that somebody else holds the host now, or may do so."""
        self.throttle = None
        self.held_until = 0.0

    def room(self, now: float) -> int:
        """Return how many more deliveries can wait here, without waiting too long if the host is well."""
        if self.throttle is None:
            return _LONGEST - len(self.waiting)
        if self.is_shut(now):
            return _SHUT
        if self.throttle.opens_at > now + PATIENCE:
            return 0
        soon = int(PATIENCE / self.throttle.delay) if self.throttle.delay else _LONGEST
        return max(1, min(_LONGEST, soon)) - len(self.waiting)

    def is_idle(self, since: float) -> bool:
        """Tell whether nothing is to do here, and has not been since then."""
        return not (self.active or self.waiting) and self.used_at < since

    def may_begin(self, now: float) -> bool:
        """Tell whether a request that begins now is over while the host is still ours."""
        return self.throttle is not None and self.held_until >= now + self.lead

    def demand(self, now: float) -> int:
        """Return how many items to take from the store: none while all connections are busy, or not ours."""
        if self.throttle is None:
            return 0
        busy = self.active >= self.throttle.connections and not self.is_shut(now)
        return 0 if busy else self.room(now)

    def is_shut(self, now: float) -> bool:
        """Tell whether the host is not to be called at all: given up, or blocked."""
        throttle = self.throttle
        if throttle is None or not throttle.state.is_unhealthy:
            return False
        return throttle.state.blocked or throttle.is_given_up(now)

    def opens_at(self, now: float) -> float | None:
        """Return when the next delivery may go, or None if something must happen before."""
        throttle = self.throttle
        if throttle is None or not self.waiting or self.launching is not None:
            return None
        if self.is_shut(now):
            return now
        if self.active >= throttle.connections or not self.may_begin(now):
            return None
        return throttle.opens_at

    def overdue(self, now: float) -> list[Errand]:
        """Remove and return the deliveries that have waited here for too long."""
        late = []
        while self.waiting and (now - self.waiting[0][1] > PATIENCE or self._is_set_aside(now)):
            late.append(self.waiting.popleft()[0])
        return late

    def _is_set_aside(self, now: float) -> bool:
        if self.throttle is None or self.is_shut(now):
            return False
        return self.throttle.opens_at > now + PATIENCE

    def judge(self, code: Code | None, started: float, now: float, wait: float | None) -> None:
        """Learn from the outcome of a request, if the host is still ours."""
        if self.throttle is not None:
            self.throttle.judge(code, started, now, wait)
