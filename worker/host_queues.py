"""The frontier: the tasks of this process that have not been fetched yet, in a queue per host.

In memory only. ``HostLeases`` talks to the store: it leases the hosts that are wanted here, brings tasks that
waited there, and takes away those that cannot start soon. Times are seconds since 1970 by the store's clock.
"""

import asyncio
import heapq
import itertools
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from shared.errors import Code, ItemError
from shared.hosts import HostState
from worker.auto_reset_event import AutoResetEvent
from worker.fetch_task import FetchTask
from worker.politeness import HostThrottle, PolitenessPolicy

#: Most tasks that wait in this process for one host.
_LONGEST = 8
#: And for a host that is not called at all: their items fail at once.
_LONGEST_CLOSED = 1000
#: How long a task waits in this process, in seconds; then in the store, where it takes no place from others.
_MAX_WAIT = 2.0


class PostponedError(Exception):
    """The host cannot be called soon, or is not leased any more: the task has to wait in the store."""


@dataclass(frozen=True, slots=True)
class QueuePlan:
    """How many tasks may wait in a process, how hosts are treated, how many seconds a request may take."""

    capacity: int
    policy: PolitenessPolicy
    request_timeout: float


@dataclass(eq=False)
class HostQueue:
    """The tasks that wait for one host; it may be called while this process has the lease.

    Our own are called by all processes: the lease then says which tells the store and takes what waits.
    """

    host: str
    plan: QueuePlan
    is_own: bool = False
    #: What is known of the host; None while it may not be called.
    throttle: HostThrottle | None = None
    is_leased: bool = False
    leased_until: float = 0.0
    used_at: float = 0.0
    #: Slots in use.
    active: int = 0
    #: When it is looked at next, while it stands in the heap.
    queued_at: float | None = None
    #: Requests since the store was told.
    requests: int = 0
    #: The slot whose task has not sent its request yet.
    starting: "HostSlot | None" = None
    waiting: deque[tuple[FetchTask, float]] = field(default_factory=deque)

    def grant(self, state: HostState, until: float, is_leased: bool = True) -> None:
        """Call the host with what the store knows of it, or go on calling it: then we know it better."""
        if self.throttle is None:
            policy = self.plan.policy
            self.throttle = HostThrottle(policy.without_limits() if self.is_own else policy, state)
        elif self.throttle.state.generation != state.generation:
            self.throttle.state = state  # an operator changed it
        self.is_leased = is_leased
        self.leased_until = math.inf if self.is_own else until

    def revoke(self) -> None:
        """Call the host no more: another process has the lease now, or may have it."""
        self.throttle = None
        self.is_leased = False
        self.leased_until = 0.0

    @property
    def is_free(self) -> bool:
        """Whether nothing but our own limits holds its tasks up: it is our own, and well."""
        throttle = self.throttle
        return self.is_own and (throttle is None or not (throttle.state.trips or throttle.delay))

    def room(self, now: float) -> int:
        """Return how many more tasks can wait here and still start soon if the host is healthy."""
        if self.is_free:
            return self.plan.capacity  # which bounds all queues together
        if self.throttle is None:
            return _LONGEST - len(self.waiting)
        if self.is_closed(now):
            return _LONGEST_CLOSED
        if self.throttle.opens_at > now + _MAX_WAIT:
            return 0
        soon = int(_MAX_WAIT / self.throttle.delay) if self.throttle.delay else _LONGEST
        return max(1, min(_LONGEST, soon)) - len(self.waiting)

    def demand(self, now: float) -> int:
        """Return how many tasks to take from the store: none without the lease or a free slot."""
        if self.throttle is None or not self.is_leased:
            return 0
        busy = self.active >= self.throttle.connections and not self.is_closed(now)
        return 0 if busy else self.room(now)

    @property
    def is_unused(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.active or self.waiting)

    def is_idle(self, since: float) -> bool:
        """Tell whether there is nothing to do, and has not been since then."""
        return self.is_unused and self.used_at < since

    def is_closed(self, now: float) -> bool:
        """Tell whether the host is not to be called at all: given up, or blocked."""
        throttle = self.throttle
        if throttle is None or not throttle.state.is_unhealthy:
            return False
        return throttle.state.blocked or throttle.is_given_up(now)

    def may_start(self, now: float) -> bool:
        """Tell whether a request that starts now is over while the lease still holds."""
        return self.throttle is not None and self.leased_until >= now + self.plan.request_timeout

    def opens_at(self, now: float) -> float | None:
        """Return when the next task may start, or None if something must happen before."""
        throttle = self.throttle
        if throttle is None or not self.waiting or self.starting is not None:
            return None
        if self.is_closed(now):
            return now
        if self.active >= throttle.connections or not self.may_start(now):
            return None
        return throttle.opens_at

    def take_overdue(self, now: float) -> list[FetchTask]:
        """Remove and return the tasks that have waited for too long, or would."""
        overdue = []
        while self.waiting and (self._is_late(self.waiting[0][1], now) or self._is_backed_off(now)):
            overdue.append(self.waiting.popleft()[0])
        return overdue

    def _is_late(self, since: float, now: float) -> bool:
        return not self.is_free and now - since > _MAX_WAIT

    def _is_backed_off(self, now: float) -> bool:
        if self.throttle is None or self.is_closed(now):
            return False
        return self.throttle.opens_at > now + _MAX_WAIT


class HostQueues:
    """All queues of this process.

    ``throttled_host`` returns the host of a URL if it is to be throttled, ``own_host`` if it is our own.
    """

    def __init__(
        self,
        plan: QueuePlan,
        throttled_host: Callable[[str], str | None],
        now: Callable[[], float],
        own_host: Callable[[str], str | None] = lambda _url: None,
    ) -> None:
        self.plan = plan
        self.now = now
        #: Tasks in all queues.
        self.count = 0
        #: Hosts to be leased.
        self.wanted: set[str] = set()
        #: Set when there is something to tell the store.
        self.news = asyncio.Event()
        #: Hosts that have just been backed off.
        self.backed_off: list[HostQueue] = []
        self._throttled_host = throttled_host
        self._own_host = own_host
        self._queues: dict[str, HostQueue] = {}
        #: Tasks that call no host.
        self._unthrottled: deque[FetchTask] = deque()
        self._due: list[tuple[float, int, HostQueue]] = []
        self._numbers = itertools.count()
        self._postponed: list[tuple[FetchTask, str]] = []
        self._changed = AutoResetEvent()
        #: Until when ``next`` sleeps, if nothing happens.
        self._awaited = math.inf
        self._space = asyncio.Event()

    # For the worker.

    async def room(self) -> int:
        """Return how many more tasks can wait here; wait while there is no room."""
        while (count := self.count + len(self._postponed)) >= self.plan.capacity:
            self._space.clear()
            await self._space.wait()
        return self.plan.capacity - count

    def put(self, task: FetchTask) -> None:
        """Add a task, new or redirected."""
        host, is_own = self.called_host(task.url)
        if host is None:
            self._unthrottled.append(task)
            self.count += 1
            self._changed.set()
            return
        now, queue = self.now(), self.queue_for(host, is_own)
        if queue.throttle is None:
            self.wanted.add(host)
            self.news.set()
        if queue.room(now) > 0:
            self.add(queue, task, now)
            self._wake()
        else:
            self.postpone(task, host)

    def postpone(self, task: FetchTask, host: str) -> None:
        """Move a task to the store, to wait there for the host of its URL, or else for ``host``."""
        self._postponed.append((task, self.called_host(task.url)[0] or host))
        self.news.set()

    async def next(self) -> tuple[FetchTask, "HostSlot"]:
        """Wait for the next task that may start; several may wait. Its slot must be released."""
        while True:
            now = self.now()
            found = self._take_ready(now)
            at = self._due[0][0] if self._due else None
            if found:
                self._space.set()
                self._wake_another(at, now)
                return found
            self._awaited = math.inf if at is None else at
            await self._changed.wait(None if at is None else max(0.0, at - now))

    # For the slots.

    def changed(self, queue: HostQueue) -> None:
        """Look at a queue again: a request of it started or ended."""
        self.arrange(queue, self.now())
        self._wake()

    def note_backoff(self, queue: HostQueue) -> None:
        """Let everybody know that a host keeps failing."""
        self.backed_off.append(queue)
        self.news.set()

    # For the leases.

    def called_host(self, url: str) -> tuple[str | None, bool]:
        """Return the host that a URL calls, and whether it is our own."""
        host = self._throttled_host(url)
        if host is not None:
            return host, False
        own = self._own_host(url)
        return own, own is not None

    def queue_for(self, host: str, is_own: bool) -> HostQueue:
        """Return the queue of a host for a task that calls it as our own, or as a stranger's.

        A name may be both, by its ports: then it is treated as a stranger's while it has such tasks.
        """
        queue = self.queue(host)
        if queue.is_own is not is_own and (queue.is_own or queue.is_unused):
            queue.revoke()
            queue.is_own = is_own
        return queue

    def queue(self, host: str) -> HostQueue:
        """Return the queue of a host, a new one if there is none."""
        queue = self._queues.get(host)
        if queue is None:
            queue = self._queues[host] = HostQueue(host, self.plan)
        return queue

    def queues(self) -> Iterator[HostQueue]:
        """Yield the queues of all hosts."""
        yield from self._queues.values()

    def add(self, queue: HostQueue, task: FetchTask, now: float) -> None:
        """Put a task at the end of a queue."""
        queue.waiting.append((task, now))
        self.count += 1
        if queue.queued_at is None:
            self.arrange(queue, now)

    def arrange(self, queue: HostQueue, now: float) -> None:
        """Note when the next task of a queue may start; call it when anything of the queue has changed."""
        at = queue.opens_at(now)
        if at is not None and (queue.queued_at is None or at < queue.queued_at):
            queue.queued_at = at
            heapq.heappush(self._due, (at, next(self._numbers), queue))

    def wake(self) -> None:
        """Wake the callers of ``next`` and ``room`` to look again."""
        self._changed.set()
        self._space.set()

    def drop(self, queue: HostQueue) -> None:
        """Forget a host."""
        del self._queues[queue.host]

    def drop_unused(self) -> None:
        """Forget hosts without a lease that have nothing here and are not wanted."""
        for queue in list(self._queues.values()):
            if not (queue.throttle or queue.active or queue.waiting or queue.host in self.wanted):
                self.drop(queue)

    def postpone_all(self, queue: HostQueue) -> None:
        """Postpone everything that waits in a queue."""
        for task in self._empty(queue):
            self.postpone(task, queue.host)

    def postpone_overdue(self, now: float) -> None:
        """Postpone what has waited here for too long."""
        for queue in self._queues.values():
            for task in queue.take_overdue(now):
                self.count -= 1
                self.postpone(task, queue.host)

    def take_postponed(self) -> list[tuple[FetchTask, str]]:
        """Return the tasks that are to wait in the store, and their hosts, once."""
        postponed, self._postponed = self._postponed, []
        return postponed

    def take_all(self) -> Iterator[FetchTask]:
        """Remove and yield everything that waits."""
        yield from self._unthrottled
        self.count -= len(self._unthrottled)
        self._unthrottled.clear()
        for queue in self._queues.values():
            yield from self._empty(queue)

    def _take_ready(self, now: float) -> "tuple[FetchTask, HostSlot] | None":
        if self._unthrottled:
            self.count -= 1
            return self._unthrottled.popleft(), HostSlot(self, None)
        while self._due and self._due[0][0] <= now:
            noted, _, queue = heapq.heappop(self._due)
            if noted != queue.queued_at:
                continue  # it was noted for an earlier time since
            queue.queued_at = None
            at = queue.opens_at(now)
            if at is not None and at <= now:
                return self._start(queue, now)
            self.arrange(queue, now)
        return None

    def _start(self, queue: HostQueue, now: float) -> "tuple[FetchTask, HostSlot]":
        self.count -= 1
        queue.active += 1
        queue.used_at = now
        task, slot = queue.waiting.popleft()[0], HostSlot(self, queue)
        if queue.is_closed(now) or queue.is_free:
            self.arrange(queue, now)  # the next task need not wait for this one, or can fail at once
        else:
            queue.starting = slot
        return task, slot

    def _empty(self, queue: HostQueue) -> list[FetchTask]:
        tasks = [task for task, _ in queue.waiting]
        queue.waiting.clear()
        self.count -= len(tasks)
        return tasks

    def _wake_another(self, at: float | None, now: float) -> None:
        """Wake another caller of ``next`` if there is, or will be, one more task."""
        if self._unthrottled or (at is not None and at <= now):
            self._changed.set()
        elif at is not None:
            self._awaited = at
            self._changed.set_later(at - now)

    def _wake(self) -> None:
        """Wake a caller of ``next`` if a task can start sooner than it knows."""
        at = self._due[0][0] if self._due else None
        if at is not None and at < self._awaited:
            self._awaited = at
            self._changed.set()


class HostSlot:
    """The right to call a host now, for one task; leaving the context gives it to the next one.

    Without a queue, the task calls no host.
    """

    __slots__ = ("_ended", "_queue", "_queues", "_started")

    def __init__(self, queues: HostQueues, queue: HostQueue | None) -> None:
        self._queues = queues
        self._queue = queue
        self._started = 0.0
        self._ended = 0.0

    async def __aenter__(self) -> "HostSlot":
        return self

    async def __aexit__(self, *failure: object) -> None:
        self.release()

    @property
    def host(self) -> str:
        """The host that is called, or nothing."""
        return self._queue.host if self._queue else ""

    @property
    def is_throttled(self) -> bool:
        """Whether a stranger's host is called, which has a rate limit."""
        return self._queue is not None and not self._queue.is_own

    def check_host(self) -> None:
        """Raise ``ItemError`` if the host is blocked or given up."""
        queue = self._queue
        if queue is None or queue.throttle is None or not queue.throttle.state.is_unhealthy:
            return
        if queue.throttle.state.blocked:
            raise ItemError(Code.HOST_BLOCKED, queue.host)
        if queue.throttle.is_given_up(self._queues.now()):
            raise ItemError(Code.HOST_DOWN, f"{queue.host}: {queue.throttle.state.code}")

    @property
    def is_given_up(self) -> bool:
        """Whether the host is given up, perhaps since the last request."""
        throttle = self._queue.throttle if self._queue else None
        return throttle is not None and throttle.is_given_up(self._queues.now())

    def require_delay(self, seconds: float) -> None:
        """Leave at least so many seconds between two requests, as the host's robots.txt wants."""
        if self._queue is not None and self._queue.throttle is not None:
            self._queue.throttle.require_delay(seconds)

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """Make one request in this context; its outcome counts for the host.

        Waits for the host's delay if needed, as after a request for robots.txt. Raises ``PostponedError`` if
        that takes too long.
        """
        await self._wait_for_delay()
        try:
            yield
        except ItemError as error:
            self._record(error.code, error.retry_after)
            raise
        self._record(None, None)

    def request_sent(self) -> None:
        """Note that a request was sent: the delay before the next one counts from now."""
        if self._queue is not None and self._queue.throttle is not None:
            self._queue.throttle.request_sent(self._queues.now())

    def image_requested(self) -> None:
        """Note that the request for the image was sent: the next task of the host may start."""
        self.request_sent()
        if self._queue is not None and self._queue.starting is self:
            self._queue.starting = None
            self._queues.changed(self._queue)

    def seconds(self) -> float:
        """Return how long the last request took, or has taken so far."""
        return (self._ended or self._queues.now()) - self._started if self._started else 0.0

    def release(self) -> None:
        """Give the slot to the next task. May be called more than once."""
        if self._ended:
            return
        self._ended = self._queues.now()
        if self._queue is not None:
            self._queue.active -= 1
            self._queue.used_at = self._ended
            if self._queue.starting is self:
                self._queue.starting = None
            self._queues.changed(self._queue)

    async def _wait_for_delay(self) -> None:
        self._started = self._queues.now()
        if self._queue is None:
            return
        throttle = self._queue.throttle
        if throttle is None or throttle.opens_at > self._started + _MAX_WAIT:
            raise PostponedError
        start = throttle.reserve(self._started)
        if start > self._started:
            await asyncio.sleep(start - self._started)
            self._started = self._queues.now()
        if not self._queue.may_start(self._started):
            raise PostponedError  # the store was away: another process may have the lease by now
        self._queue.requests += 1

    def _record(self, code: Code | None, retry_after: float | None) -> None:
        if self._queue is None or self._queue.throttle is None:
            return
        throttle, others = self._queue.throttle, self._queue.active - 1
        trips = throttle.state.trips
        throttle.record_outcome(code, self._started, self._queues.now(), retry_after, others)
        if throttle.state.trips > trips:
            self._queues.note_backoff(self._queue)
