"""How an event of the log looks on a terminal."""

import logging
import sys

from commands.terminal import EventFormatter


def _line(message: str, **fields: object) -> str:
    return EventFormatter().format(logging.makeLogRecord({"msg": message, **fields}))


def test_an_event_is_its_name_and_its_fields() -> None:
    assert _line("webhook delivered", job=7, host="a.example") == "webhook delivered job=7 host=a.example"


def test_fields_without_a_value_are_left_out() -> None:
    assert _line("request", status=200, key_id=None, client="") == "request status=200"


def test_an_exception_follows() -> None:
    try:
        raise ValueError("bad")
    except ValueError:
        line = _line("unhandled error", request_id="mine", exc_info=sys.exc_info())
    first, *_, last = line.splitlines()
    assert (first, last) == ("unhandled error request_id=mine", "ValueError: bad")


def test_what_strangers_send_does_not_control_the_terminal_through_a_log() -> None:
    record = logging.makeLogRecord({"msg": "host backed off", "host": "h\x1b[2J\n.example"})
    assert EventFormatter().format(record) == "host backed off host=h?[2J?.example"
