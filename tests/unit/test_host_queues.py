"""The host queues of one process, with a clock that the test sets: which task may start, and when."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from shared.broker import Delivery
from shared.errors import Code, ItemError
from shared.hosts import HostState, host_of
from shared.items import Message
from worker.fetch_task import FetchTask
from worker.host_queues import HostQueues, HostSlot, PostponedError, QueuePlan
from worker.politeness import PolitenessPolicy

_POLICY = PolitenessPolicy(connections=2, delay=0.0, backoff_schedule=(10.0,))


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time


def _strangers_host(url: str) -> str | None:
    return None if ":8080/" in url else host_of(url)


def _own_host(url: str) -> str | None:
    return host_of(url) if ":8080/" in url else None


def _run(play: Callable[[HostQueues, Clock], Awaitable[None]], policy: PolitenessPolicy = _POLICY) -> None:
    async def run() -> None:
        clock = Clock()
        plan = QueuePlan(20, policy, request_timeout=1.0)
        async with asyncio.timeout(10):
            await play(HostQueues(plan, _strangers_host, clock.now, _own_host), clock)

    asyncio.run(run())


def _put(queues: HostQueues, count: int, host: str = "h") -> None:
    for index in range(count):
        queues.put(FetchTask.of_delivery(Delivery(Message(1, index, f"http://{host}/{index}"), index)))


def _lease(queues: HostQueues, clock: Clock, host: str = "h", **state: object) -> None:
    queue = queues.queue(host)
    queue.grant(HostState(host, **state), clock.now() + 60)  # type: ignore[arg-type]
    queues.arrange(queue, clock.now())


async def _waits(awaitable: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(0.05):
            await awaitable
    except TimeoutError:
        return True
    return False


def test_a_task_waits_for_the_lease_of_its_host() -> None:
    async def play(queues: HostQueues, clock: Clock) -> None:
        _put(queues, 1)
        assert queues.wanted == {"h"}
        assert await _waits(queues.next())
        _lease(queues, clock)
        task, slot = await queues.next()
        assert (task.message.index, slot.host) == (0, "h")

    _run(play)


def test_the_next_task_starts_when_the_request_before_it_was_sent() -> None:
    async def play(queues: HostQueues, clock: Clock) -> None:
        _lease(queues, clock)
        _put(queues, 3)
        _, first = await queues.next()
        assert await _waits(queues.next())
        async with first.request():
            first.image_requested()
            _, second = await queues.next()
        assert second.host == "h"

    _run(play)


def test_no_more_slots_than_connections_and_each_is_released_once() -> None:
    async def play(queues: HostQueues, clock: Clock) -> None:
        _lease(queues, clock)
        _put(queues, 4)
        slots = []
        for _ in range(_POLICY.connections):
            _, slot = await queues.next()
            async with slot.request():
                slot.image_requested()
            slots.append(slot)
        assert await _waits(queues.next())
        slots[0].release()
        slots[0].release()
        assert queues.queue("h").active == 1
        await queues.next()

    _run(play)


def test_what_finds_no_room_is_postponed() -> None:
    async def play(queues: HostQueues, clock: Clock) -> None:
        _put(queues, 10)
        postponed = queues.take_postponed()
        assert [(task.message.index, host) for task, host in postponed] == [(8, "h"), (9, "h")]
        assert (queues.count, queues.news.is_set(), queues.take_postponed()) == (8, True, [])

    _run(play)


def test_a_failing_host_is_backed_off_and_its_tasks_are_postponed() -> None:
    async def play(queues: HostQueues, clock: Clock) -> None:
        _lease(queues, clock)
        _put(queues, 7)
        for _ in range(5):
            _, slot = await queues.next()
            async with slot:
                with pytest.raises(ItemError):
                    async with slot.request():
                        raise ItemError(Code.CONNECT_FAILED)
        queues.postpone_overdue(clock.now())
        assert [task.message.index for task, _ in queues.take_postponed()] == [5, 6]

    _run(play)


def test_a_request_is_refused_when_the_lease_may_end_before_it() -> None:
    async def play(queues: HostQueues, clock: Clock) -> None:
        _lease(queues, clock)
        _put(queues, 1)
        _, slot = await queues.next()
        clock.time += 59.5
        with pytest.raises(PostponedError):
            async with slot.request():
                raise AssertionError("it was made")

    _run(play)


def test_whoever_is_cancelled_passes_the_task_on() -> None:
    async def play(queues: HostQueues, _clock: Clock) -> None:
        first, second = (asyncio.create_task(queues.next()) for _ in range(2))
        await asyncio.sleep(0)
        queues.put(FetchTask.of_delivery(Delivery(Message(1, 0, "a.jpg"), 0)))
        first.cancel()
        task, slot = await second
        assert (task.url, slot.host) == ("a.jpg", "")

    _run(play)


async def _fail(clock: Clock, *slots: HostSlot) -> None:
    """Let requests fail that are all under way at the same time."""

    async def fail(slot: HostSlot) -> None:
        async with slot:
            with pytest.raises(ItemError):
                async with slot.request():
                    await asyncio.sleep(0)
                    clock.time += 0.001
                    raise ItemError(Code.CONNECT_FAILED)

    await asyncio.gather(*map(fail, slots))


def test_our_own_host_is_called_by_all_at_once_and_without_a_pause() -> None:
    async def play(queues: HostQueues, clock: Clock) -> None:
        _put(queues, 25, "own:8080")  # some have been redirected, and find all places taken
        assert (queues.wanted, queues.take_postponed()) == ({"own"}, [])
        _lease(queues, clock, "own")
        slots = [(await queues.next())[1] for _ in range(25)]
        assert {slot.host for slot in slots} == {"own"}
        assert queues.queue("own").active == 25

    _run(play, PolitenessPolicy(connections=2, delay=5.0, backoff_schedule=(10.0,)))


def test_our_own_host_does_not_have_to_be_leased_and_its_tasks_do_not_leave() -> None:
    async def play(queues: HostQueues, clock: Clock) -> None:
        _put(queues, 3, "own:8080")
        queue = queues.queue("own")
        queue.grant(HostState("own", holder="another"), clock.now() + 60, is_leased=False)
        queues.arrange(queue, clock.now())
        clock.time += 1000.0
        queues.postpone_overdue(clock.now())
        assert queue.demand(clock.now()) == 0
        _, slot = await queues.next()
        async with slot.request():
            pass
        assert queues.take_postponed() == []

    _run(play)


def test_our_own_host_is_backed_off_when_it_fails_and_everybody_is_told() -> None:
    async def play(queues: HostQueues, clock: Clock) -> None:
        _put(queues, 20, "own:8080")
        _lease(queues, clock, "own")
        queue, slots = queues.queue("own"), [(await queues.next())[1] for _ in range(12)]
        queues.news.clear()
        await _fail(clock, *slots)
        assert (queues.backed_off, queues.news.is_set()) == ([queue], True)
        assert await _waits(queues.next())
        queues.postpone_overdue(clock.now())
        assert len(queues.take_postponed()) == 8
        clock.time += 10.0
        _put(queues, 3, "own:8080")
        await _fail(clock, (await queues.next())[1])  # one trial, which is not enough
        assert await _waits(queues.next())
        assert queues.backed_off == [queue, queue]

    _run(play, PolitenessPolicy(connections=2, delay=5.0, backoff_schedule=(10.0, 10.0)))


def test_a_blocked_host_of_our_own_is_not_called() -> None:
    async def play(queues: HostQueues, clock: Clock) -> None:
        _put(queues, 3, "own:8080")
        _lease(queues, clock, "own", blocked=True)
        for _ in range(3):
            _, slot = await queues.next()
            with pytest.raises(ItemError, match="blocked"):
                slot.check_host()

    _run(play)


def test_a_strangers_task_makes_a_host_of_our_own_polite() -> None:
    async def play(queues: HostQueues, clock: Clock) -> None:
        _put(queues, 5, "h:8080")
        _lease(queues, clock)
        _put(queues, 1)
        assert (queues.queue("h").is_own, queues.queue("h").throttle) == (False, None)
        _lease(queues, clock)
        await queues.next()
        assert await _waits(queues.next())
        _put(queues, 1, "h:8080")
        assert not queues.queue("h").is_own

    _run(play)
