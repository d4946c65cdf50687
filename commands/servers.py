"""Put the parts together that talk to servers: the broker's two sides, and whoever waits for them."""

import logging
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from shared.errors import Code, ResourceError
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.rabbitmq.consumer import RabbitConsumer
    from shared.rabbitmq.publisher import RabbitPublisher
    from shared.rabbitmq.topology import Topology

T = TypeVar("T")

_log = logging.getLogger("smartsight")

#: Longest pause before a server that is away is tried again, in seconds.
_LONGEST_PAUSE = 10.0
_AWAY = (Code.DATABASE_UNAVAILABLE, Code.BROKER_UNAVAILABLE)


def topology_of(settings: Settings) -> "Topology":
    """Return the queues of the settings."""
    from shared.rabbitmq.topology import Topology

    return Topology(settings.queue_prefix, settings.retry_delays)


def check_broker(settings: Settings) -> None:
    """Make the queues, or raise ``ResourceError(broker_unavailable)``."""
    from shared.rabbitmq.connection import check

    check(settings.broker_url, topology_of(settings))


@contextmanager
def open_publisher(settings: Settings) -> Iterator["RabbitPublisher"]:
    """Open the publishing side of the broker, and close it in the end."""
    from shared.rabbitmq.publisher import RabbitPublisher

    publisher = RabbitPublisher(settings.broker_url, topology_of(settings))
    try:
        yield publisher
    finally:
        publisher.close()


@contextmanager
def open_consumer(settings: Settings, prefetch: int, dead: bool = False) -> Iterator["RabbitConsumer"]:
    """Open the receiving side of the broker, or of its dead letters, and close it in the end."""
    from shared.rabbitmq.consumer import RabbitConsumer

    topology = topology_of(settings)
    queue = topology.dead if dead else topology.bulk
    consumer = RabbitConsumer(settings.broker_url, topology, prefetch, queue)
    try:
        yield consumer
    finally:
        consumer.close()


def patiently(attempt: Callable[[], T], stop: threading.Event) -> T:
    """Return what an attempt gives, trying again while a server is away; raise its failure when stopped."""
    pause = 0.5
    while True:
        try:
            return attempt()
        except ResourceError as error:
            if error.code not in _AWAY or stop.wait(random.uniform(0, pause)):
                raise
            _log.warning("waiting: %s", error)
            pause = min(2 * pause, _LONGEST_PAUSE)
