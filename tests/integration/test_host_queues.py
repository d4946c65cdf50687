"""The host queues of several processes on one store: whose turn it is at a host, and what the others do."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from shared.broker import InProcessBroker
from shared.errors import Code, ItemError
from shared.hosts import host_of
from shared.items import Message
from shared.store.database import Database
from shared.store.store import ListedHost, Store
from worker.fetch_task import DeliveryAcks, FetchTask
from worker.host_leases import HostLeases, StoreClock
from worker.host_queues import HostQueues, HostSlot, PostponedError, QueuePlan
from worker.politeness import PolitenessPolicy
from worker.store_retry import StoreRetry

_POLICY = PolitenessPolicy(connections=2, delay=0.05, backoff_schedule=(0.3, 0.3))
_PATIENCE = 30.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Database(f"sqlite:///{tmp_path / 'test.db'}")) as database:
        yield Store(database)


def _strangers_host(url: str) -> str | None:
    return None if _own_host(url) else host_of(url)


def _own_host(url: str) -> str | None:
    return host_of(url) if url.startswith("http://own.example/") else None


@dataclass
class Seen:
    """What hosts saw of all processes."""

    starts: dict[str, list[float]] = field(default_factory=dict)
    active: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    done: list[int] = field(default_factory=list)

    def begin(self, host: str) -> None:
        self.starts.setdefault(host, []).append(time.monotonic())
        self.active[host] += 1
        self.most[host] = max(self.most[host], self.active[host])

    def smallest_gap(self, host: str) -> float:
        starts = self.starts[host]
        return min(later - earlier for earlier, later in pairwise(starts))


Answer = Callable[[HostSlot], Awaitable[Code | None]]


class Process:
    """Queues and leases with a broker of their own, and what a worker does with the slots that they give."""

    def __init__(
        self,
        store: Store,
        threads: ThreadPoolExecutor,
        seen: Seen,
        answer: Answer,
        policy: PolitenessPolicy,
    ) -> None:
        self.broker = InProcessBroker()
        store_retry = StoreRetry(threads, threading.Event(), wait_for_store=False)
        plan, clock = QueuePlan(capacity=20, policy=policy, request_timeout=1.0), StoreClock()
        self.queues = HostQueues(plan, _strangers_host, clock.now, _own_host)
        self.acks = DeliveryAcks(self.broker)
        self.leases = HostLeases(store, store_retry, self.queues, self.acks, clock)
        self._seen = seen
        self._answer = answer

    def give(self, *refs: str, first: int = 0) -> None:
        self.broker.publish(Message(1, first + number, ref) for number, ref in enumerate(refs))
        for delivery in self.broker.receive(1000, 0):
            self.queues.put(FetchTask.of_delivery(delivery))

    async def work(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._handle(*await self.queues.next()))

    async def _handle(self, task: FetchTask, slot: HostSlot) -> None:
        try:
            async with slot, slot.request():
                self._seen.begin(slot.host)
                slot.image_requested()
                code = await self._answer(slot)
                self._seen.active[slot.host] -= 1
                if code is not None:
                    raise ItemError(code)
        except PostponedError:
            self.queues.postpone(task, slot.host)
            return
        except ItemError:
            pass
        self._seen.done.append(task.message.index)
        self.acks.ack(task)


async def _quickly(_slot: HostSlot) -> None:
    await asyncio.sleep(0.02)


def _run(
    store: Store,
    count: int,
    play: Callable[[list[Process], Seen], Awaitable[None]],
    answer: Answer = _quickly,
    policy: PolitenessPolicy = _POLICY,
) -> Seen:
    """Let so many processes work while a test plays with them; then stop them in good order."""

    async def run() -> Seen:
        seen = Seen()
        with ThreadPoolExecutor(8) as threads:
            processes = [Process(store, threads, seen, answer, policy) for _ in range(count)]
            async with _working(processes):
                await play(processes, seen)
        return seen

    return asyncio.run(run())


@asynccontextmanager
async def _working(processes: list[Process]) -> "Iterator[None]":  # type: ignore[misc]
    working = [asyncio.create_task(process.work()) for process in processes]
    talking = [asyncio.create_task(process.leases.run()) for process in processes]
    try:
        yield
    finally:
        for process in processes:
            process.leases.stop()
        await asyncio.gather(*talking)
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        for process in processes:
            await process.leases.close()


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(_PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


def _urls(host: str, count: int) -> list[str]:
    return [f"http://{host}/{number}" for number in range(count)]


def test_the_limits_of_a_host_hold_for_all_processes_together(store: Store) -> None:
    async def play(processes: list[Process], seen: Seen) -> None:
        for number, process in enumerate(processes):
            process.give(*_urls("a.example", 15), *_urls("b.example", 5), first=100 * number)
        await _until(lambda: len(seen.done) >= 60)

    seen = _run(store, 3, play)
    assert len(seen.done) == len(set(seen.done)) == 60
    for host in ("a.example", "b.example"):
        assert seen.most[host] <= _POLICY.connections
        assert seen.smallest_gap(host) >= _POLICY.delay * 0.9


def test_what_goes_to_no_strangers_host_never_waits(store: Store) -> None:
    async def play(processes: list[Process], seen: Seen) -> None:
        processes[0].give(*_urls("a.example", 10), *(f"file{number}.jpg" for number in range(10)))
        await _until(lambda: len(seen.done) >= 10)
        assert sorted(seen.done) == list(range(10, 20))
        await _until(lambda: len(seen.done) == 20)

    async def answer(slot: HostSlot) -> None:
        if slot.host:
            await asyncio.sleep(0.3)

    _run(store, 1, play, answer)


def test_a_slow_host_takes_no_place_from_others(store: Store) -> None:
    """More items of slow hosts than a process has places for, and then those of a quick one."""

    async def play(processes: list[Process], seen: Seen) -> None:
        for number in range(6):
            processes[0].give(*_urls(f"slow{number}.example", 10), first=100 * number)
        processes[0].give(*_urls("quick.example", 10), first=1000)
        await _until(lambda: sum(index >= 1000 for index in seen.done) == 10)
        assert sum(index < 1000 for index in seen.done) <= 12

    async def answer(slot: HostSlot) -> None:
        if slot.host.startswith("slow"):
            await asyncio.sleep(3600)  # it is cancelled at the end

    _run(store, 1, play, answer)


def test_a_host_that_fails_is_left_alone_and_tried_again(store: Store) -> None:
    async def play(processes: list[Process], seen: Seen) -> None:
        processes[0].give(*_urls("bad.example", 8))
        await _until(lambda: len(seen.done) == 8)

    async def answer(_slot: HostSlot) -> Code:
        return Code.CONNECT_FAILED

    seen = _run(store, 1, play, answer)
    starts = seen.starts["bad.example"]
    assert starts[5] - starts[4] >= _POLICY.backoff_schedule[0] * 0.9


def test_a_blocked_host_is_not_waited_for(store: Store) -> None:
    store.hosts.set_blocked("a.example", True)

    async def play(processes: list[Process], seen: Seen) -> None:
        processes[0].give(*_urls("a.example", 5))
        await _until(lambda: len(blocked) == 5)

    blocked: list[Code] = []

    async def answer(slot: HostSlot) -> None:
        try:
            slot.check_host()
        except ItemError as error:
            blocked.append(error.code)

    _run(store, 1, play, answer)
    assert set(blocked) == {Code.HOST_BLOCKED}


def test_our_own_host_is_called_by_all_processes_at_once(store: Store) -> None:
    together = threading.Event()

    async def play(processes: list[Process], seen: Seen) -> None:
        for number, process in enumerate(processes):
            process.give(*_urls("own.example", 10), first=100 * number)
        await _until(lambda: seen.active["own.example"] == 30)
        together.set()
        await _until(lambda: len(seen.done) == 30)

    async def answer(_slot: HostSlot) -> None:
        await _until(together.is_set)

    _run(store, 3, play, answer)
    assert store.hosts.page("", 10)[0].waiting == 0


def test_an_own_host_that_fails_is_shown_at_once_and_released_for_all_processes(store: Store) -> None:
    fails = threading.Event()
    fails.set()

    async def play(processes: list[Process], seen: Seen) -> None:
        for number, process in enumerate(processes):
            process.give(*_urls("own.example", 15), first=100 * number)
        await _until(lambda: seen.done and stored().state.trips == 1)
        for number, process in enumerate(processes):
            process.give(*_urls("own.example", 10), first=1000 + 100 * number)
        await _until(lambda: len(seen.done) + stored().waiting == 50)
        assert stored().waiting >= 20
        fails.clear()
        store.hosts.set_blocked("own.example", False)
        await _until(lambda: len(seen.done) == 50 and not stored().waiting)
        assert len(set(seen.done)) == 50
        processes[0].give(*_urls("own.example", 1), first=2000)
        processes[1].give(*_urls("own.example", 1), first=3000)
        await _until(lambda: {2000, 3000} <= set(seen.done))

    def stored() -> ListedHost:
        return store.hosts.page("", 10)[0]

    async def answer(_slot: HostSlot) -> Code | None:
        return Code.CONNECT_FAILED if fails.is_set() else None

    _run(store, 2, play, answer, PolitenessPolicy(2, 0.05, (60.0, 60.0)))


def test_what_has_not_gone_is_handed_back_with_the_hosts(store: Store) -> None:
    async def play(processes: list[Process], seen: Seen) -> None:
        processes[0].give(*_urls("a.example", 30))
        await _until(lambda: len(seen.done) >= 3)

    seen = _run(store, 1, play)
    states = [listed.state for listed in store.hosts.page("", 10)]
    assert [(state.host, state.holder) for state in states] == [("a.example", None)]
    assert states[0].requests == len(seen.starts["a.example"])

    async def go_on(processes: list[Process], seen_then: Seen) -> None:
        waiting = store.hosts.page("", 10)[0].waiting
        await _until(lambda: len(seen_then.done) >= waiting)
        await _until(lambda: not store.hosts.page("", 10)[0].waiting)
        assert not set(seen_then.done) & set(seen.done)

    _run(store, 1, go_on)


def test_whoever_takes_a_host_over_keeps_its_pause(store: Store) -> None:
    async def play(processes: list[Process], seen: Seen) -> None:
        processes[0].give(*_urls("a.example", 2))
        await _until(lambda: len(seen.done) >= 2)

    first, second = _run(store, 1, play), _run(store, 1, play)
    gap = second.starts["a.example"][0] - first.starts["a.example"][-1]
    assert gap >= _POLICY.delay * 0.9


def test_a_clock_that_is_set_back_by_a_day_holds_nothing_up(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    true, ahead = time.time, 86_400.0
    monkeypatch.setattr(time, "time", lambda: true() + ahead)

    async def play(processes: list[Process], seen: Seen) -> None:
        nonlocal ahead
        processes[0].give(*_urls("a.example", 5), *_urls("bad.example", 9), first=0)
        await _until(lambda: len(seen.done) >= 10)
        ahead = 0.0
        processes[0].give(*_urls("a.example", 5), first=100)
        await _until(lambda: len(seen.done) == 19)
        first = _held_until(store, "a.example")
        assert first < store.hosts.now() + 3600
        await _until(lambda: _held_until(store, "a.example") > first)

    async def answer(slot: HostSlot) -> Code | None:
        return Code.FETCH_TIMEOUT if slot.host.startswith("bad") else None

    _run(store, 1, play, answer)


def _held_until(store: Store, host: str) -> float:
    found = store.hosts.find(host)
    assert found is not None
    return found.state.held_until
