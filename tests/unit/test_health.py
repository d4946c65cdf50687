"""Readiness: checks that fail, hang, and are asked for too often."""

import asyncio
import logging
import threading

import pytest

from results_api.service.health import Health
from shared.errors import Code, ResourceError


def _well() -> None:
    pass


def _away() -> None:
    raise ResourceError(Code.DATABASE_UNAVAILABLE, "db.internal refuses")


def test_what_is_wrong_is_told_by_its_code_and_the_rest_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def look_twice() -> None:
        health = Health({"store": _away, "model": _well}, age=0)
        for _ in range(2):
            assert await health.look() == {"store": Code.DATABASE_UNAVAILABLE, "model": None}

    with caplog.at_level(logging.WARNING):
        asyncio.run(look_twice())
    assert [record.getMessage() for record in caplog.records] == [
        "not ready: store: The database cannot be used. (db.internal refuses)"
    ]


def test_many_who_ask_at_once_cost_one_check() -> None:
    asked = []

    async def look() -> None:
        health = Health({"store": lambda: asked.append(1)}, age=60)
        await asyncio.gather(*(health.look() for _ in range(20)))
        await health.look()

    asyncio.run(look())
    assert asked == [1]


def test_what_was_wrong_is_looked_at_again() -> None:
    checks = iter([_away, _well])

    async def look() -> list[Code | None]:
        health = Health({"store": lambda: next(checks)()}, age=0)
        return [(await health.look())["store"] for _ in range(2)]

    assert asyncio.run(look()) == [Code.DATABASE_UNAVAILABLE, None]


def test_a_check_that_hangs_holds_one_thread_and_nobody_up() -> None:
    asked, answer = [], threading.Event()

    def hang() -> None:
        asked.append(1)
        answer.wait()

    async def look() -> list[Code | None]:
        health = Health({"store": hang}, age=0, patience=0.05)
        found = [(await health.look())["store"] for _ in range(3)]
        answer.set()
        while (await health.look())["store"]:
            pass
        return found

    assert asyncio.run(look()) == [Code.CHECK_TIMEOUT] * 3
    assert asked == [1]
