"""The conversation with the store about hosts: hold them, tell what was learned, let items wait."""

import time
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from shared.fetching.guard import KEEP_ALIVE
from shared.hosts import HostState
from shared.store.store import Claims, Demand, Store, Taken, Waiting
from worker.frontier.clock import StoreClock
from worker.frontier.line import Errand, Line
from worker.frontier.politeness import PolitenessPolicy
from worker.frontier.schedule import Schedule
from worker.store_retry import StoreRetry

T = TypeVar("T")

#: How long a host stays ours when we are not heard of, beyond the longest request, in seconds.
_SPARE = 15.0
#: Seconds between two times of holding hosts for longer, and of looking for items that wait for one.
_KEEP_EVERY, _TAKE_EVERY = 3.0, 0.4
#: How long a host is kept without a request, in seconds: longer than its idle connections.
_IDLE = KEEP_ALIVE + 0.5
#: How much of its uncertainty about the store's clock a process adds to a pause at the most, in seconds.
_MOST_UNCERTAINTY = 2.0
#: Items taken of a host that was not ours before.
_FIRST = 4
#: Hosts claimed, and items stored, in one transaction.
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class FrontierPlan:
    """How many deliveries may wait in a process, how its hosts are treated, how long a request may take.

    With ``only_job``, nothing of other jobs is taken from the store.
    """

    capacity: int
    policy: PolitenessPolicy
    longest_request: float
    only_job: int | None = None


class Turns:
    """Holds the hosts of this process's schedule in the store, and exchanges items with it."""

    def __init__(
        self,
        store: Store,
        store_retry: StoreRetry,
        schedule: Schedule,
        plan: FrontierPlan,
        in_hand: dict[int, str],
    ) -> None:
        self._store = store
        self._store_retry = store_retry
        self._schedule = schedule
        self._plan = plan
        #: Rows of the store that we took, and their hosts: these are not given back before.
        self._in_hand = in_hand
        self._holder = uuid.uuid4().hex
        self._lease = plan.longest_request + _SPARE
        self._clock = StoreClock()
        #: The time by the store's clock, in seconds since 1970.
        self.now = self._clock.now
        self._kept_at = self._taken_at = 0.0
        self.wanted: set[str] = set()

    async def claim(self) -> list[Errand]:
        """Claim the hosts that are wanted; return what waits here for those that others hold."""
        refused: list[Errand] = []
        while self.wanted:
            names = [self.wanted.pop() for _ in range(min(_AT_ONCE, len(self.wanted)))]
            asked = time.monotonic()
            claims = await self._call(self._store.hosts.claim, names, self._holder, self._lease)
            self._clock.learn(claims.now, asked)
            refused += self._apply(claims)
        return refused

    async def keep(self) -> list[Errand]:
        """Now and then, hold our hosts for longer and give back those that are idle; return as ``claim``."""
        now = self.now()
        if now - self._kept_at < _KEEP_EVERY:
            return []
        self._kept_at = now
        self._schedule.drop_unused(self.wanted)
        held = [line for line in self._schedule.lines() if line.throttle]
        busy_hosts = set(self._in_hand.values())
        idle = [line for line in held if line.is_idle(now - _IDLE) and line.host not in busy_hosts]
        if idle:
            await self.give_back(idle)
        busy = [line for line in held if line.throttle]
        return self._apply(await self._tell(busy, self._lease)) if busy else []

    async def give_back(self, lines: Sequence[Line]) -> None:
        """Let others have these hosts, with what we learned of them."""
        learned = [(line, line.throttle.state) for line in lines if line.throttle]
        for line in lines:
            line.lose()
            self._schedule.drop(line)
        if learned:
            await self._tell_states(learned, 0)

    async def give_all_back(self) -> None:
        """Let others have all our hosts."""
        await self.give_back(list(self._schedule.lines()))

    async def take(self) -> list[Errand]:
        """Now and then, take items that wait for hosts that we can call; return as ``claim``."""
        now = self.now()
        room = self._plan.capacity - self._schedule.count
        if room <= 0 or now - self._taken_at < _TAKE_EVERY:
            return []
        self._taken_at = now
        of_hosts = {line.host: line.demand(now) for line in self._schedule.lines()}
        demand = Demand(room, of_hosts, _FIRST, frozenset(self._in_hand), self._plan.only_job)
        backoff_schedule = len(self._plan.policy.backoff_schedule)
        asked = time.monotonic()
        taken = await self._call(
            self._store.waiting.take, demand, self._holder, backoff_schedule, self._lease
        )
        if taken is None:
            return []
        self._clock.learn(taken.claims.now, asked)
        return self._adopt(taken)

    async def store_waiting(self, items: Sequence[Waiting]) -> None:
        """Let items wait in the store."""
        for start in range(0, len(items), _AT_ONCE):
            await self._call(self._store.waiting.add, items[start : start + _AT_ONCE])

    async def settle(self, done: Collection[int], back: Collection[int]) -> None:
        """Remove what is done with from the waiting items, and hand back what is not."""
        if done:
            await self._call(self._store.waiting.remove, done, self._holder)
        if back:
            await self._call(self._store.waiting.release, back, self._holder)
        for row in (*done, *back):
            self._in_hand.pop(row, None)

    def _adopt(self, taken: Taken) -> list[Errand]:
        refused = self._apply(taken.claims)
        for item in taken.items:
            if item.id is not None:
                self._in_hand[item.id] = item.host
            self._schedule.add(self._schedule.line(item.host), Errand.of_waiting(item), self.now())
        return refused

    def _apply(self, claims: Claims) -> list[Errand]:
        """Take note of how hosts stand; return what waits here for those that others hold."""
        refused: list[Errand] = []
        for host, state in claims.states.items():
            line = self._schedule.line(host)
            if state.holder == self._holder:
                line.hold(state, claims.now + self._lease)
                self._schedule.arrange(line, claims.now)
            else:
                line.lose()
                refused += self._schedule.empty(line)
        return refused

    async def _tell(self, lines: Sequence[Line], seconds: float) -> Claims:
        return await self._tell_states(
            [(line, line.throttle.state) for line in lines if line.throttle], seconds
        )

    async def _tell_states(self, learned: Sequence[tuple[Line, HostState]], seconds: float) -> Claims:
        requests = [line.requests for line, _ in learned]
        for line, _ in learned:
            line.requests = 0
        # Whoever calls the host next may know the time better: our pause must not end too early for them.
        uncertainty = min(self._clock.uncertainty, _MOST_UNCERTAINTY)
        states = [replace(state, next_at=state.next_at + uncertainty) for _, state in learned]
        return await self._call(self._store.hosts.renew, states, requests, self._holder, seconds)

    async def _call(self, function: Callable[..., T], *arguments: object) -> T:
        return await self._store_retry.call(function, *arguments)
