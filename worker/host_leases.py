"""The conversation with the store about hosts and the items that wait for them.

A host is called by one process at a time, the one that has its lease in the store: so the delay between two
requests, and the number of connections, hold for the whole fleet. A task that cannot start soon waits in the
store, where it takes no place from other hosts, for the process that has the lease of its host. Our own hosts
are called by all processes; only what waits for them in the store is for the one that has the lease.
"""

import asyncio
import logging
import math
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace

from shared.errors import Code, ResourceError
from shared.fetching.guard import KEEP_ALIVE
from shared.hosts import HostState
from shared.store.store import Claims, Demand, Store
from worker.fetch_task import DeliveryAcks, FetchTask
from worker.host_queues import HostQueue, HostQueues
from worker.observer import NoObserver, Observer
from worker.store_retry import StoreRetry

_log = logging.getLogger("smartsight.worker")

#: Seconds between two looks at what has to be told to the store.
_TICK = 0.2
#: How long a lease lasts if it is not renewed, beyond the longest request, in seconds.
_SPARE = 15.0
#: Seconds between two renewals of our leases, and between two looks for items that wait for a host.
_RENEW_EVERY, _TAKE_EVERY = 3.0, 0.4
#: How long a host is kept without a request, in seconds: longer than its idle connections.
_IDLE = KEEP_ALIVE + 0.5
#: How much uncertainty about the store's clock a process adds to a delay at most, in seconds.
_MAX_UNCERTAINTY = 2.0
#: Items taken of a host that we had no lease of before.
_FIRST = 4
#: Hosts claimed, and items stored, in one transaction.
_AT_ONCE = 500
#: A store's clock that is so much behind what was thought has been set back, in seconds.
_SET_BACK = 5.0


class StoreClock:
    """The store's clock as this process knows it: delays must hold from process to process.

    It runs evenly between the answers of the store, which are as old as they were on their way.
    """

    def __init__(self) -> None:
        # Until the store's clock is known, ours has to do.
        self._ahead = time.time() - time.monotonic()
        #: By how much the store's clock may show more than ours, in seconds.
        self.uncertainty = math.inf

    def now(self) -> float:
        """Return the time by the store's clock, in seconds since 1970; it is no earlier there."""
        return time.monotonic() + self._ahead

    def learn(self, then: float, asked: float) -> None:
        """Note what the store's clock showed between ``asked``, by ``time.monotonic``, and now.

        The fastest answer is the most accurate: a slow one must not shift the time, and the delays with it.
        """
        received = time.monotonic()
        ahead = then - received
        if received - asked < self.uncertainty or ahead < self._ahead - _SET_BACK:
            self._ahead, self.uncertainty = ahead, received - asked


class HostLeases:
    """Leases the hosts that the queues want, and exchanges tasks between the queues and the store.

    With ``only_job``, nothing of other jobs is taken from the store.
    """

    def __init__(
        self,
        store: Store,
        store_retry: StoreRetry,
        queues: HostQueues,
        acks: DeliveryAcks,
        clock: StoreClock,
        only_job: int | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._store = store
        self._observer = observer or NoObserver()
        self._call = store_retry.call
        self._queues = queues
        self._acks = acks
        self._clock = clock
        self._only_job = only_job
        self._holder = uuid.uuid4().hex
        self._seconds = queues.plan.request_timeout + _SPARE
        # By our clock: the store's may be set back.
        self._renewed_at = self._taken_at = -math.inf
        self._stopped = False

    async def run(self) -> None:
        """Talk with the store until told to stop. Raises ``ResourceError`` if it cannot be used."""
        while not self._stopped:
            await self._exchange()
            try:
                async with asyncio.timeout(_TICK):
                    await self._queues.news.wait()
            except TimeoutError:
                pass
            self._queues.news.clear()

    def stop(self) -> None:
        """Let ``run`` end; requests that are under way go on."""
        self._stopped = True
        self._queues.news.set()

    async def close(self) -> None:
        """Hand back the tasks that have not started, and all leases."""
        for task in self._queues.take_all():
            self._acks.release(task)
        try:
            await self._store_postponed()
            await self._settle()
            await self._release(list(self._queues.queues()))
        except ResourceError as error:
            # The next holder waits until our leases have expired, and finds everything.
            _log.warning("leases not released", extra={"reason": str(error)})

    async def _exchange(self) -> None:
        self._queues.postpone_overdue(self._clock.now())
        await self._settle()
        await self._claim()
        await self._report_backoffs()
        await self._renew()
        await self._take()
        await self._store_postponed()
        self._queues.wake()

    async def _claim(self) -> None:
        """Claim the hosts that are wanted."""
        wanted = self._queues.wanted
        while wanted:
            names = [wanted.pop() for _ in range(min(_AT_ONCE, len(wanted)))]
            asked = time.monotonic()
            claims = await self._call(self._store.hosts.claim, names, self._holder, self._seconds)
            self._clock.learn(claims.now, asked)
            self._apply(claims)

    async def _report_backoffs(self) -> None:
        """Tell at once which hosts keep failing: nobody should have to wait to hear it."""
        now, backed_off = self._clock.now(), dict.fromkeys(self._queues.backed_off)
        self._queues.backed_off.clear()
        states = [(queue, queue.throttle.state) for queue in backed_off if queue.throttle]
        for queue, state in states:
            seconds = None if queue.is_closed(now) else round(max(0.0, state.closed_until - now), 1)
            event = "host given up" if seconds is None else "host backed off"
            fields = {"host": queue.host, "code": state.code, "seconds": seconds}
            _log.log(logging.WARNING if queue.is_own else logging.DEBUG, event, extra=fields)
            if state.code:
                self._observer.host_backed_off(queue.host, queue.is_own, Code(state.code), seconds)
        leased = [(queue, state) for queue, state in states if queue.is_leased]
        if leased:
            self._apply(await self._report(leased, self._seconds))

    async def _renew(self) -> None:
        """Now and then, renew our leases, and release those of idle hosts."""
        now = self._clock.now()
        if time.monotonic() - self._renewed_at < _RENEW_EVERY:
            return
        self._renewed_at = time.monotonic()
        self._queues.drop_unused()
        leased = [queue for queue in self._queues.queues() if queue.throttle]
        unsettled_hosts = set(self._acks.unsettled.values())
        idle = [queue for queue in leased if queue.is_idle(now - _IDLE) and queue.host not in unsettled_hosts]
        if idle:
            await self._release(idle)
        # Another process has the lease of these own hosts: ask again, also for what operators decided.
        self._queues.wanted.update(queue.host for queue in leased if queue.throttle and not queue.is_leased)
        learned = [(queue, queue.throttle.state) for queue in leased if queue.throttle and queue.is_leased]
        if learned:
            self._apply(await self._report(learned, self._seconds))

    async def _take(self) -> None:
        """Now and then, take items that wait for hosts that we can call."""
        now = self._clock.now()
        room = self._queues.plan.capacity - self._queues.count
        if room <= 0 or time.monotonic() - self._taken_at < _TAKE_EVERY:
            return
        self._taken_at = time.monotonic()
        of_hosts = {queue.host: queue.demand(now) for queue in self._queues.queues()}
        in_hand, policy = frozenset(self._acks.unsettled), self._queues.plan.policy
        demand = Demand(room, of_hosts, _FIRST, in_hand, self._only_job, policy.longest_pause)
        backoff_steps = len(policy.backoff_schedule)
        asked = time.monotonic()
        taken = await self._call(self._store.waiting.take, demand, self._holder, backoff_steps, self._seconds)
        if taken is None:
            return
        self._clock.learn(taken.claims.now, asked)
        for item in taken.items:
            self._queues.queue_for(item.host, self._queues.called_host(item.url)[1])
        self._apply(taken.claims)
        for item in taken.items:
            if item.id is not None:
                self._acks.unsettled[item.id] = item.host
            queue = self._queues.queue(item.host)
            self._queues.add(queue, FetchTask.of_waiting(item), self._clock.now())

    async def _store_postponed(self) -> None:
        postponed = self._queues.take_postponed()
        # First: an item that was done with and has come again must not lose its row with its old one.
        await self._settle()
        for start in range(0, len(postponed), _AT_ONCE):
            items = [task.as_waiting(host) for task, host in postponed[start : start + _AT_ONCE]]
            await self._call(self._store.waiting.add, items)
        for task, _ in postponed:
            self._acks.moved_to_store(task)

    async def _settle(self) -> None:
        """Remove the rows of tasks that are done, and hand back those of others."""
        done, released = self._acks.take_settled()
        if done:
            await self._call(self._store.waiting.remove, done, self._holder)
        if released:
            await self._call(self._store.waiting.release, released, self._holder)
        for row in (*done, *released):
            self._acks.unsettled.pop(row, None)

    async def _release(self, queues: Sequence[HostQueue]) -> None:
        """Let other processes call these hosts, and tell the store what we learned of them."""
        learned = [(queue, queue.throttle.state) for queue in queues if queue.throttle]
        for queue in queues:
            queue.revoke()
            self._queues.drop(queue)
        if learned:
            await self._report(learned, 0)

    async def _report(self, learned: Sequence[tuple[HostQueue, HostState]], seconds: float) -> Claims:
        """Tell the store what we learned of hosts, and lease them for so many seconds more."""
        requests = [queue.requests for queue, _ in learned]
        for queue, _ in learned:
            queue.requests = 0
        # The next holder may know the time better: our delay must not end too early for it.
        uncertainty = min(self._clock.uncertainty, _MAX_UNCERTAINTY)
        states = [replace(state, next_at=state.next_at + uncertainty) for _, state in learned]
        asked = time.monotonic()
        claims = await self._call(self._store.hosts.renew, states, requests, self._holder, seconds)
        self._clock.learn(claims.now, asked)
        return claims

    def _apply(self, claims: Claims) -> None:
        """Note which hosts are ours; what waits here for those of other processes waits in the store."""
        for host, state in claims.states.items():
            queue = self._queues.queue(host)
            is_leased = state.holder == self._holder
            if is_leased or queue.is_own:
                queue.grant(state, claims.now + self._seconds, is_leased)
                assert queue.throttle
                queue.throttle.forget_far_times(claims.now)
                self._queues.arrange(queue, claims.now)
            else:
                queue.revoke()
                self._queues.postpone_all(queue)
