"""The frontier: all deliveries of a process that have not gone to their host yet, and whose turn it is.

A host is called by one process at a time, the one that holds it in the store: so a pause between two
requests, and a number of connections, hold for the whole fleet without a word between processes. What cannot
go soon waits in the store, where it takes no place from other hosts; whoever holds the host takes it there.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass

from shared.broker import Consumer
from shared.errors import Code, ResourceError
from shared.store.store import Store
from worker.frontier.alarm import Alarm
from worker.frontier.delivery_acks import DeliveryAcks
from worker.frontier.line import PATIENCE, Errand, Line
from worker.frontier.schedule import Schedule
from worker.frontier.turns import FrontierPlan, Turns
from worker.store_retry import StoreRetry

_log = logging.getLogger("smartsight.worker")

#: Seconds between two looks at what has to be told to the store.
_TICK = 0.2


class PostponedError(Exception):
    """The host cannot be called soon, or is not ours any more: the delivery has to wait in the store."""


class Frontier:
    """Lets deliveries go, each when it may.

    ``throttled_host`` returns the host of a URL, if requests to it are throttled.
    """

    def __init__(
        self,
        store: Store,
        consumer: Consumer,
        store_retry: StoreRetry,
        throttled_host: Callable[[str], str | None],
        plan: FrontierPlan,
    ) -> None:
        self._throttled_host = throttled_host
        self._capacity = plan.capacity
        self._schedule = Schedule(plan.policy, plan.longest_request)
        self.acks = DeliveryAcks(consumer)
        self._turns = Turns(store, store_retry, self._schedule, plan, self.acks.in_hand)
        #: The time by the store's clock, in seconds since 1970.
        self.now = self._turns.now
        self._postponed: list[tuple[Errand, str]] = []
        self._stopped = False
        self._changed = Alarm()
        #: Until when ``next`` sleeps, if nothing happens.
        self._awaited = math.inf
        self._told = asyncio.Event()
        self._space = asyncio.Event()

    async def room(self) -> int:
        """Return how many deliveries more can wait here; wait while there is none."""
        while (count := self._schedule.count + len(self._postponed)) >= self._capacity:
            self._space.clear()
            await self._space.wait()
        return self._capacity - count

    def put(self, errand: Errand) -> None:
        """Take a delivery, new or sent on by a redirect; it goes when its turn comes."""
        host = self._throttled_host(errand.url)
        if host is None:
            self._schedule.add_free(errand)
            self._changed.ring()
        else:
            self._line_up(errand, host)

    def postpone(self, errand: Errand, host: str) -> None:
        """Let a delivery wait in the store for its host, and take the next ones instead."""
        self._postponed.append((errand, host))
        self._told.set()

    def postpone_retry(self, errand: Errand, host: str) -> None:
        """Let a delivery wait in the store, to begin again with its reference when its host is open."""
        self.postpone(errand, self._throttled_host(errand.url) or host)

    async def next(self) -> "Turn":
        """Return the next delivery that may go, waiting for it; several may wait."""
        while True:
            now = self.now()
            found = self._schedule.next(now)
            at = self._schedule.next_at()
            if found:
                self._space.set()
                self._leave_word(at, now)
                return Turn(self, *found)
            self._awaited = math.inf if at is None else at
            await self._changed.wait(None if at is None else max(0.0, at - now))

    async def run(self) -> None:
        """Talk with the store until told to stop. Raises ``ResourceError`` if it cannot be used."""
        while not self._stopped:
            await self._tend()
            try:
                async with asyncio.timeout(_TICK):
                    await self._told.wait()
            except TimeoutError:
                pass
            self._told.clear()

    def stop(self) -> None:
        """Let ``run`` end; what is under way goes on."""
        self._stopped = True
        self._told.set()

    async def close(self) -> None:
        """Hand back what has not gone, and all hosts."""
        for errand in self._schedule.take_all():
            self.acks.release(errand.delivery)
        try:
            await self._store_postponed()
            await self._settle()
            await self._turns.give_all_back()
        except ResourceError as error:
            # Whoever comes next waits until our hold has run out, and finds everything.
            _log.warning("hosts are not handed back: %s", error)

    def changed(self, line: Line) -> None:
        """Look at a line again: a request of it began or ended."""
        self._schedule.arrange(line, self.now())
        self._wake()

    def _line_up(self, errand: Errand, host: str) -> None:
        now = self.now()
        line = self._schedule.line(host)
        if line.throttle is None:
            self._turns.wanted.add(host)
            self._told.set()
        if line.room(now) > 0:
            self._schedule.add(line, errand, now)
            self._wake()
        else:
            self.postpone(errand, host)

    def _leave_word(self, at: float | None, now: float) -> None:
        """Let another one who waits know of what there is beside that which was found."""
        if self._schedule.has_free() or (at is not None and at <= now):
            self._changed.ring()
        elif at is not None:
            self._awaited = at
            self._changed.ring_in(at - now)

    def _wake(self) -> None:
        """Wake ``next`` if it has something to look at sooner than it knows."""
        at = self._schedule.next_at()
        if at is not None and at < self._awaited:
            self._awaited = at
            self._changed.ring()

    async def _tend(self) -> None:
        for line, errand in self._schedule.take_overdue(self.now()):
            self.postpone(errand, line.host)
        await self._settle()
        refused = [*await self._turns.claim(), *await self._turns.keep(), *await self._turns.take()]
        for errand in refused:
            self.postpone(errand, self._throttled_host(errand.url) or "")
        await self._store_postponed()
        self._changed.ring()
        self._space.set()

    async def _store_postponed(self) -> None:
        postponed, self._postponed = self._postponed, []
        # First: an item that was done with and has come again must not lose its place with its old one.
        await self._settle()
        if postponed:
            await self._turns.store_waiting([errand.as_waiting(host) for errand, host in postponed])
        for errand, _ in postponed:
            self.acks.stored(errand.delivery)

    async def _settle(self) -> None:
        await self._turns.settle(self.acks.take_done(), self.acks.take_back())


@dataclass(eq=False, slots=True)
class Turn:
    """A delivery whose turn it is; its line, if its host is to be spared. Close it when it is over."""

    frontier: Frontier
    line: Line | None
    errand: Errand
    _started: float = 0.0
    _ended: float = 0.0

    async def begin_request(self) -> None:
        """Wait for the moment in which the next request may begin: now, but for the one after robots.txt.

        Raises ``PostponedError`` if that is too far away.
        """
        self._started = self.frontier.now()
        if self.line is None:
            return
        throttle = self.line.throttle
        if throttle is None or throttle.opens_at > self._started + PATIENCE:
            raise PostponedError
        start = throttle.reserve(self._started)
        if start > self._started:
            await asyncio.sleep(start - self._started)
            self._started = self.frontier.now()
        if not self.line.may_begin(self._started):
            raise PostponedError  # the store was away, and the host may be another's by now
        self.line.requests += 1

    def sent(self) -> None:
        """Say that a request is on its way: the pause before the next one counts from now."""
        if self.line is not None and self.line.throttle is not None:
            self.line.throttle.request_sent(self.frontier.now())

    def sent_its_own(self) -> None:
        """Say that the request of the delivery itself is on its way: the next one can be let go."""
        self.sent()
        if self.line is not None and self.line.launching is self.errand:
            self.line.launching = None
            self.frontier.changed(self.line)

    def judge(self, code: Code | None, wait: float | None = None) -> None:
        """Say how a request ended, and for how many seconds the host wants a pause, if it does."""
        if self.line is not None:
            self.line.judge(code, self._started, self.frontier.now(), wait)

    def seconds(self) -> float:
        """Return how long the last request took, or has taken so far."""
        return (self._ended or self.frontier.now()) - self._started if self._started else 0.0

    def close(self) -> None:
        """Say that this delivery is at its host no longer; once or more often."""
        if self._ended:
            return
        self._ended = self.frontier.now()
        if self.line is not None:
            self.line.active -= 1
            self.line.used_at = self._ended
            if self.line.launching is self.errand:
                self.line.launching = None
            self.frontier.changed(self.line)
