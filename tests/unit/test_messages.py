import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.items import Message
from shared.rabbitmq.messages import UnreadableMessageError, decode, encode
from shared.rabbitmq.topology import Topology

_GOOD = {"v": 1, "job": 7, "index": 0, "ref": "http://host/ä.jpg", "attempt": 1}


@given(
    st.builds(
        Message, st.integers(1, 2**63 - 1), st.integers(0, 2**63 - 1), st.text(min_size=1, max_size=4096)
    )
)
def test_a_message_is_read_back_as_it_was_written(message: Message) -> None:
    if message.ref.isprintable():
        assert decode(encode(message)) == message


@given(st.one_of(st.binary(), st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps)))
def test_whatever_the_bytes_are_nothing_else_is_raised(body: bytes | str) -> None:
    with pytest.raises(UnreadableMessageError):
        decode(body if isinstance(body, bytes) else body.encode())


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": None},
        {"more": 1},
        {"job": 0},
        {"job": "7"},
        {"job": True},
        {"job": 2**63},
        {"index": -1},
        {"index": 1.0},
        {"attempt": 0},
        {"attempt": 2**15},
        {"ref": ""},
        {"ref": None},
        {"ref": "x" * 4097},
    ],
)
def test_a_message_with_anything_unknown_is_not_read(change: dict[str, Any]) -> None:
    assert decode(json.dumps(_GOOD).encode()).job_id == 7
    with pytest.raises(UnreadableMessageError):
        decode(json.dumps(_GOOD | change).encode())


@pytest.mark.parametrize("missing", _GOOD)
def test_a_message_that_lacks_something_is_not_read(missing: str) -> None:
    fields = {name: value for name, value in _GOOD.items() if name != missing}
    with pytest.raises(UnreadableMessageError):
        decode(json.dumps(fields).encode())


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[" * 60_000, b"7", b"[]", b" " * 70_000])
def test_bytes_that_are_no_message_are_not_read(body: bytes) -> None:
    with pytest.raises(UnreadableMessageError):
        decode(body)


@pytest.mark.parametrize(
    ("delay", "queue"),
    [
        (0, "p.bulk.v1"),
        (0.1, "p.delay.0.5s.v1"),
        (0.5, "p.delay.0.5s.v1"),
        (16, "p.delay.120s.v1"),
        (9999, "p.delay.120s.v1"),
    ],
)
def test_a_delay_has_the_shortest_queue_that_is_long_enough(delay: float, queue: str) -> None:
    assert Topology("p", (0.5, 15.0, 120.0)).queue_for(delay) == queue


def test_every_queue_keeps_what_it_has() -> None:
    queues = dict(Topology("p", (15.0,)).queues())
    assert all(arguments["x-queue-type"] == "quorum" for arguments in queues.values())
    bulk = queues["p.bulk.v1"]
    assert bulk["x-delivery-limit"] == 20
    assert bulk["x-dead-letter-routing-key"] == "p.dead.v1"
    assert (bulk["x-dead-letter-strategy"], bulk["x-overflow"]) == ("at-least-once", "reject-publish")
    assert queues["p.delay.15s.v1"]["x-message-ttl"] == 15_000
