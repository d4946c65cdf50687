"""Readiness: checks that fail, hang, and are asked for too often."""

import asyncio
import logging
import threading

import pytest

from results_api.service.monitoring import HealthChecks
from shared.errors import Code, ResourceError


def _well() -> None:
    pass


def _away() -> None:
    raise ResourceError(Code.DATABASE_UNAVAILABLE, "db.internal refuses")


def test_what_is_wrong_is_told_by_its_code_and_the_rest_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def look_twice() -> None:
        health = HealthChecks({"store": _away, "model": _well}, ttl=0)
        for _ in range(2):
            assert await health.run() == {"store": Code.DATABASE_UNAVAILABLE, "model": None}

    with caplog.at_level(logging.WARNING):
        asyncio.run(look_twice())
    (line,) = caplog.records
    assert line.getMessage() == "readiness check failed"
    fields = {"check": "store", "reason": "The database cannot be used. (db.internal refuses)"}
    assert fields.items() <= vars(line).items()


def test_many_who_ask_at_once_cost_one_check() -> None:
    asked = []

    async def look() -> None:
        health = HealthChecks({"store": lambda: asked.append(1)}, ttl=60)
        await asyncio.gather(*(health.run() for _ in range(20)))
        await health.run()

    asyncio.run(look())
    assert asked == [1]


def test_what_was_wrong_is_looked_at_again() -> None:
    checks = iter([_away, _well])

    async def look() -> list[Code | None]:
        health = HealthChecks({"store": lambda: next(checks)()}, ttl=0)
        return [(await health.run())["store"] for _ in range(2)]

    assert asyncio.run(look()) == [Code.DATABASE_UNAVAILABLE, None]


def test_a_check_that_hangs_holds_one_thread_and_nobody_up() -> None:
    asked, answer = [], threading.Event()

    def hang() -> None:
        asked.append(1)
        answer.wait()

    async def look() -> list[Code | None]:
        health = HealthChecks({"store": hang}, ttl=0, timeout=0.05)
        found = [(await health.run())["store"] for _ in range(3)]
        answer.set()
        while (await health.run())["store"]:
            pass
        return found

    assert asyncio.run(look()) == [Code.CHECK_TIMEOUT] * 3
    assert asked == [1]
