"""The PostgreSQL and RabbitMQ that tests get: those they were given, else containers, else programs here.

Tests that kill and pause servers always start programs of their own: a container takes no such signals.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from tests.servers.binaries import ensure_local_binaries
from tests.servers.databases import fresh_databases
from tests.servers.docker import docker_is_usable, postgres_container, rabbitmq_container
from tests.servers.postgres import PostgresServer
from tests.servers.rabbit import RabbitServer

_DATABASE = "SMARTSIGHT_TEST_DATABASE_URL"
_BROKER = "SMARTSIGHT_TEST_BROKER_URL"


@contextmanager
def database_server() -> Iterator[Callable[[], str]]:
    """Yield what makes an empty database and returns its URL."""
    given = os.environ.get(_DATABASE)
    if given:
        with fresh_databases(given) as make:
            yield make
        return
    if docker_is_usable():
        with postgres_container() as url, fresh_databases(url) as make:
            yield make
        return
    ensure_local_binaries()
    with closing(PostgresServer(durable=False)) as server:
        server.start()
        yield server.new_database


@contextmanager
def broker_server() -> Iterator[str]:
    """Yield the URL of a RabbitMQ."""
    given = os.environ.get(_BROKER)
    if given:
        yield given
        return
    if docker_is_usable():
        with rabbitmq_container() as url:
            yield url
        return
    ensure_local_binaries()
    with closing(RabbitServer()) as server:
        server.start()
        yield server.url
