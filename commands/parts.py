"""Compose the parts: the adapter behind each boundary, made from the settings."""

import logging
import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeVar

from shared.budgets import ListBudget
from shared.errors import Code, ResourceError
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.decoding.decoder import Decoders
    from shared.fetching.guard import Guard
    from shared.fetching.web import WebFetcher
    from shared.rabbitmq.consumer import RabbitConsumer
    from shared.rabbitmq.publisher import RabbitPublisher
    from shared.rabbitmq.topology import Topology
    from shared.store.store import RecordedModel, Store
    from worker.politeness import PolitenessPolicy
    from worker.worker import Fetchers

T = TypeVar("T")

_log = logging.getLogger("smartsight")

#: Our name in robots.txt files.
ROBOT = "SmartSightBot"
#: Longest pause before an unavailable server is tried again, in seconds.
_LONGEST_PAUSE = 10.0
_UNAVAILABLE = (Code.DATABASE_UNAVAILABLE, Code.BROKER_UNAVAILABLE)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def open_store(settings: Settings) -> Iterator["Store"]:
    """Open the database of the settings, and close it at the end.

    The default one is created for its owner only, in a folder of its own.
    """
    from shared.store import sqlite
    from shared.store.database import Database
    from shared.store.store import Store

    if not settings.database_url:
        try:
            settings.data_dir.mkdir(0o700, parents=True, exist_ok=True)  # what is in it is its owner's only
        except OSError as error:
            detail = f"{settings.data_dir}: {error.strerror}; SMARTSIGHT_DATA_DIR names another folder"
            raise ResourceError(Code.DATABASE_UNAVAILABLE, detail) from error
        sqlite.make_private(settings.store_url)  # earlier versions left it to the umask
    database = Database(settings.store_url)
    try:
        yield Store(database)
    finally:
        database.close()


def make_guard(settings: Settings) -> "Guard":
    """Return what keeps all calls outside the network."""
    from shared.fetching.guard import Guard

    return Guard(settings.ports, settings.own_hosts)


def user_agent(settings: Settings) -> str:
    """Return how this robot introduces itself to hosts."""
    contact = f" (+{settings.contact})" if settings.contact else ""
    return f"{ROBOT}/{version('smartsight')}{contact}"


def make_web(settings: Settings) -> "WebFetcher":
    """Return what fetches URLs, and nothing from inside the network."""
    from shared.classifier.catalogue import limits_of
    from shared.fetching.web import WebFetcher, WebLimits

    formats = frozenset(limits_of(settings).formats)
    limits = WebLimits(settings.max_bytes, settings.fetch_timeout, formats)
    return WebFetcher(make_guard(settings), limits, user_agent(settings))


def make_fetchers(settings: Settings) -> "Fetchers":
    """Return the fetchers of URLs, file paths and records of WARC files."""
    from shared.fetching.fetcher import FileFetcher, SchemeFetcher
    from shared.fetching.warc import WarcFetcher
    from worker.worker import Fetchers

    web, limit = make_web(settings), settings.max_bytes
    return Fetchers(SchemeFetcher(web, FileFetcher(limit), WarcFetcher(limit)), web)


def politeness_policy(settings: Settings, backoff_schedule: Sequence[float]) -> "PolitenessPolicy":
    """Return the rate limits of hosts, and how long a failing one is backed off, in seconds."""
    from worker.politeness import PolitenessPolicy

    return PolitenessPolicy(settings.host_connections, settings.host_delay, backoff_schedule)


def list_budget(settings: Settings) -> ListBudget:
    """Return what a submitted list may cost."""
    return ListBudget(settings.unpacked_bytes)


def model_of(store: "Store", settings: Settings, name: str | None) -> "RecordedModel":
    """Return the store's record of a model, by default that of the settings; it is built if needed."""
    from shared.classifier.catalogue import Catalogue

    model = Catalogue(settings.cache_dir, settings.data_dir).model(name or settings.model)
    return store.models.record(model.name, model.version, model.labels)


@contextmanager
def open_decoders(settings: Settings) -> Iterator["Decoders"]:
    """Start a process that decodes untrusted images, more when needed, and stop them at the end."""
    from shared.classifier.catalogue import limits_of
    from shared.decoding.decoder import DecoderProcess, Decoders, memory_for

    memory = memory_for(limits_of(settings))
    with closing(Decoders(lambda: DecoderProcess(memory), ahead=True)) as decoders:
        yield decoders


def topology_of(settings: Settings) -> "Topology":
    """Return the queues of the settings."""
    from shared.rabbitmq.topology import Topology

    return Topology(settings.queue_prefix, settings.retry_delays)


def check_broker(settings: Settings) -> None:
    """Declare the queues; raise ``ResourceError(broker_unavailable)``."""
    from shared.rabbitmq.connection import check

    check(settings.broker_url, topology_of(settings))


@contextmanager
def open_publisher(settings: Settings) -> Iterator["RabbitPublisher"]:
    """Open the publishing side of the broker, and close it at the end."""
    from shared.rabbitmq.publisher import RabbitPublisher

    publisher = RabbitPublisher(settings.broker_url, topology_of(settings))
    try:
        yield publisher
    finally:
        publisher.close()


@contextmanager
def open_consumer(settings: Settings, prefetch: int, dead: bool = False) -> Iterator["RabbitConsumer"]:
    """Open the receiving side of the broker, or of its dead letters, and close it at the end."""
    from shared.rabbitmq.consumer import RabbitConsumer

    topology = topology_of(settings)
    queue = topology.dead if dead else topology.bulk
    consumer = RabbitConsumer(settings.broker_url, topology, prefetch, queue)
    try:
        yield consumer
    finally:
        consumer.close()


def when_available(attempt: Callable[[], T], stop: threading.Event) -> T:
    """Return the attempt's result, retrying while a server is unavailable; raise its error when stopped."""
    pause = 0.5
    while True:
        try:
            return attempt()
        except ResourceError as error:
            if error.code not in _UNAVAILABLE or stop.wait(random.uniform(0, pause)):
                raise
            _log.warning("waiting for a server", extra={"reason": str(error)})
            pause = min(2 * pause, _LONGEST_PAUSE)
