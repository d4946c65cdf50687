"""Publish with asynchronous confirms (https://www.rabbitmq.com/docs/confirms)."""

import itertools
import random
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pika
from pika.spec import Basic

from shared.broker import BrokerClosedError
from shared.items import Message
from shared.rabbitmq.connection import ConnectionThread
from shared.rabbitmq.messages import encode
from shared.rabbitmq.topology import Topology

#: Most unconfirmed messages; from 500 to 2000 the rate is the same.
_WINDOW = 1000
#: Longest pause before a message rejected by a full queue is published again, in seconds.
_FULL_PAUSE = 1.0
#: Time limit for reading a queue's depth, in seconds.
_ANSWER = 5.0
_PERSISTENT = 2


@dataclass(slots=True)
class _Call:
    """One call of ``publish``, with the number of its unconfirmed messages."""

    waiting: int = 0


@dataclass(frozen=True, slots=True)
class _Outgoing:
    id: str
    queue: str
    body: bytes
    call: _Call


class RabbitPublisher:
    """Publishes to RabbitMQ; thread-safe."""

    def __init__(self, url: str, topology: Topology) -> None:
        self._topology = topology
        self._changed = threading.Condition()
        self._ids = itertools.count(1)
        self._outbox: deque[_Outgoing] = deque()
        self._on_the_way = 0
        self._flushing = False
        self._closed = False
        # Used by the connection's thread only:
        self._channel: Any = None
        self._tags = itertools.count(1)
        self._unconfirmed: dict[int, _Outgoing] = {}
        self._returned: set[str] = set()
        self._link = ConnectionThread(url, topology, self._opened, self._lost)
        self._link.start()

    @property
    def is_open(self) -> bool:
        """Whether there is a connection now."""
        return self._link.is_open

    def publish(self, messages: Iterable[Message], delay: float = 0) -> None:
        """Publish messages and wait for all confirms; retry those that a full queue rejects."""
        queue = self._topology.queue_for(delay)
        call = _Call()
        for message in messages:
            self._offer(queue, encode(message), call)
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not call.waiting)
            if call.waiting:
                raise BrokerClosedError

    def depth(self) -> int | None:
        """Return the number of ready messages, or None without a connection."""
        answered = threading.Event()
        depths: list[int] = []

        def note(frame: Any) -> None:
            depths.append(frame.method.message_count)
            answered.set()

        def ask() -> None:
            if self._channel is not None:
                self._channel.queue_declare(self._topology.bulk, passive=True, callback=note)

        if self._link.wait_open(_ANSWER):
            self._link.soon(ask)
            answered.wait(_ANSWER)
        return depths[0] if depths else None

    def close(self) -> None:
        """Close the connection; callers that still wait for confirms get an error."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._link.close()

    def _offer(self, queue: str, body: bytes, call: _Call) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._on_the_way < _WINDOW)
            if self._closed:
                raise BrokerClosedError
            self._outbox.append(_Outgoing(str(next(self._ids)), queue, body, call))
            self._on_the_way += 1
            call.waiting += 1
            wake, self._flushing = not self._flushing, True
        if wake:
            self._link.soon(self._flush)

    def _opened(self, channel: Any) -> None:
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm)
        self._channel = channel
        self._tags = itertools.count(1)
        self._flush()

    def _lost(self) -> None:
        with self._changed:
            self._channel = None
            self._outbox.extendleft(reversed(self._unconfirmed.values()))
            self._flushing = False
        self._unconfirmed.clear()
        self._returned.clear()

    def _flush(self) -> None:
        while self._channel is not None and (outgoing := self._next()):
            self._unconfirmed[next(self._tags)] = outgoing
            properties = pika.BasicProperties(
                delivery_mode=_PERSISTENT, content_type="application/json", message_id=outgoing.id
            )
            self._channel.basic_publish("", outgoing.queue, outgoing.body, properties, mandatory=True)

    def _next(self) -> _Outgoing | None:
        with self._changed:
            self._flushing = bool(self._outbox)
            return self._outbox.popleft() if self._outbox else None

    def _on_return(self, _channel: Any, _method: Any, properties: Any, _body: bytes) -> None:
        """Note a message without a queue: its confirm follows, and is meaningless."""
        self._returned.add(properties.message_id)
        self._link.drop("a queue is missing")

    def _on_confirm(self, frame: Any) -> None:
        settled = list(self._settled(frame.method.delivery_tag, frame.method.multiple))
        refused = isinstance(frame.method, Basic.Nack)
        again: list[_Outgoing] = []
        with self._changed:
            for outgoing in settled:
                if refused or outgoing.id in self._returned:
                    again.append(outgoing)
                else:
                    outgoing.call.waiting -= 1
                    self._on_the_way -= 1
            self._outbox.extend(again)
            self._changed.notify_all()
        if again and self._channel.is_open:
            self._channel.connection.ioloop.call_later(random.uniform(0.1, _FULL_PAUSE), self._flush)

    def _settled(self, tag: int, multiple: bool) -> Iterator[_Outgoing]:
        """Yield the messages of a confirm: a single one, or all up to it."""
        tags = [tag]
        if multiple:
            tags = list(itertools.takewhile(lambda earlier: earlier <= tag, self._unconfirmed))
        for settled in tags:
            yield self._unconfirmed.pop(settled)
