"""The queues: their names, arguments and declaration.

https://www.rabbitmq.com/docs/quorum-queues and https://www.rabbitmq.com/docs/dlx
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pika.exceptions import ChannelClosedByBroker

_log = logging.getLogger("smartsight.rabbitmq")

#: Redeliveries before a message is dead-lettered; RabbitMQ before 4.0 has no default limit.
_DELIVERY_LIMIT = 20
#: How long quarantined messages are kept for inspection: 7 days, in milliseconds.
_UNREADABLE_TTL = 7 * 24 * 3600 * 1000
_PRECONDITION_FAILED = 406


@dataclass(frozen=True)
class Topology:
    """The queues with one name prefix; ``retry_delays`` in seconds, shortest first."""

    prefix: str
    retry_delays: Sequence[float]

    @property
    def bulk(self) -> str:
        """The queue that workers consume."""
        return f"{self.prefix}.bulk.v1"

    @property
    def dead(self) -> str:
        """The dead-letter queue: messages that were delivered too often or cannot be read."""
        return f"{self.prefix}.dead.v1"

    @property
    def unreadable(self) -> str:
        """The quarantine queue: dead letters that cannot be read."""
        return f"{self.prefix}.unreadable.v1"

    def delayed(self, seconds: float) -> str:
        """Return the queue whose messages move to ``bulk`` after this delay."""
        return f"{self.prefix}.delay.{seconds:g}s.v1"

    def queue_for(self, delay: float) -> str:
        """Return the queue to publish to for a delivery after this delay or the next longer one."""
        if not delay:
            return self.bulk
        tier = next((tier for tier in self.retry_delays if tier >= delay), self.retry_delays[-1])
        return self.delayed(tier)

    def queues(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield every queue with its arguments."""
        quorum = {"x-queue-type": "quorum"}
        limit = {"x-delivery-limit": _DELIVERY_LIMIT}
        yield self.unreadable, quorum | {"x-message-ttl": _UNREADABLE_TTL}
        yield self.dead, quorum | limit | _dead_lettering(self.unreadable)
        yield self.bulk, quorum | limit | _dead_lettering(self.dead)
        for seconds in self.retry_delays:
            ttl = {"x-message-ttl": round(seconds * 1000)}
            yield self.delayed(seconds), quorum | ttl | _dead_lettering(self.bulk)

    def declare(self, connection: Any) -> None:
        """Declare the missing queues, on a blocking connection."""
        for name, arguments in self.queues():
            _declare(connection, name, arguments)


def _dead_lettering(target: str) -> dict[str, Any]:
    """Forward dead and expired messages; at-least-once requires a queue that rejects when it is full."""
    return {
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": target,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


def _declare(connection: Any, name: str, arguments: dict[str, Any]) -> None:
    try:
        with connection.channel() as channel:
            channel.queue_declare(name, durable=True, arguments=arguments)
    except ChannelClosedByBroker as error:
        if error.reply_code != _PRECONDITION_FAILED:
            raise
        # It was declared differently, perhaps on purpose; it is usable nevertheless.
        _log.warning("queue declared differently", extra={"queue": name, "reason": error.reply_text})
        with connection.channel() as channel:
            channel.queue_declare(name, passive=True)
