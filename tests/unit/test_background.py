"""Parts that run in threads, and what the end of one means for the others."""

import threading

import pytest

from commands.background import in_background, run_parts
from shared.errors import Code, ResourceError
from tests.servers.waiting import wait_until

_PATIENCE = 10.0


def _fail(stop: threading.Event) -> None:
    raise ResourceError(Code.DATABASE_UNAVAILABLE, "away")


def _wait(stop: threading.Event) -> None:
    assert stop.wait(_PATIENCE)


def test_the_end_of_one_part_is_told_and_does_not_end_the_others() -> None:
    """As in `smartsight up`: a worker, which is several parts itself, beside the dispatcher."""
    told = threading.Event()

    def work(stop: threading.Event) -> None:
        run_parts([_fail, _wait], lambda: None, stop)

    def dispatcher(stop: threading.Event) -> None:
        assert stop.wait(_PATIENCE)
        told.set()

    def is_unwell() -> bool:
        try:
            background.check()
        except ResourceError as error:
            return error.detail == "ended: worker"
        return False

    with in_background({"worker": work, "dispatcher": dispatcher}, lambda: None) as background:
        wait_until(is_unwell, _PATIENCE, "the worker's end to be told")
        assert not told.is_set()
    assert told.is_set()


def test_parts_end_together_when_one_fails() -> None:
    closed = threading.Event()
    with pytest.raises(ResourceError, match="away"):
        run_parts([_wait, _fail, _wait], closed.set, threading.Event())
    assert closed.is_set()


def test_parts_end_when_they_are_told_to() -> None:
    stop = threading.Event()
    timer = threading.Timer(0.05, stop.set)
    timer.start()
    run_parts([_wait, _wait], lambda: None, stop)
    timer.join()
