"""The queues: their names, their arguments, and how they come to be.

https://www.rabbitmq.com/docs/quorum-queues and https://www.rabbitmq.com/docs/dlx
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pika.exceptions import ChannelClosedByBroker

_log = logging.getLogger("smartsight.rabbitmq")

#: Deliveries that may come back before a message is dead; versions before 4.0 have no limit of their own.
_DELIVERY_LIMIT = 20
#: How long what nobody can read is kept, for people to look at: 7 days, in milliseconds.
_UNREADABLE_TTL = 7 * 24 * 3600 * 1000
_PRECONDITION_FAILED = 406


@dataclass(frozen=True)
class Topology:
    """The queues below one prefix; ``retry_delays`` in seconds, shortest first."""

    prefix: str
    retry_delays: Sequence[float]

    @property
    def bulk(self) -> str:
        """The queue that workers consume."""
        return f"{self.prefix}.bulk.v1"

    @property
    def dead(self) -> str:
        """Where messages end that were delivered too often, or that cannot be read."""
        return f"{self.prefix}.dead.v1"

    @property
    def unreadable(self) -> str:
        """Where those end that cannot be read even there."""
        return f"{self.prefix}.unreadable.v1"

    def delayed(self, seconds: float) -> str:
        """Return the queue whose messages go on to ``bulk`` after this delay."""
        return f"{self.prefix}.delay.{seconds:g}s.v1"

    def queue_for(self, delay: float) -> str:
        """Return where to publish what is to be delivered after this delay, or a longer one."""
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
        """Make the queues that are missing, on a blocking connection."""
        for name, arguments in self.queues():
            _declare(connection, name, arguments)


def _dead_lettering(target: str) -> dict[str, Any]:
    """Send what is dead or expired on; at-least-once wants a queue that rejects what it has no room for."""
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
        # Somebody declared it otherwise, on purpose perhaps: it serves, as long as it is there.
        _log.warning("queue %s differs from what this program would declare: %s", name, error.reply_text)
        with connection.channel() as channel:
            channel.queue_declare(name, passive=True)
