"""The PostgreSQL and RabbitMQ that tests get: those they were given, else containers, else programs here.

Tests that kill and pause servers always start programs of their own: a container takes no such signals.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.binaries import ensure_local_binaries
from tests.servers.databases import fresh_databases
from tests.servers.docker import docker_is_usable
from tests.servers.keeper import shared_server

_VARIABLES = {"postgres": "SMARTSIGHT_TEST_DATABASE_URL", "rabbit": "SMARTSIGHT_TEST_BROKER_URL"}


@contextmanager
def database_server(folder: Path) -> Iterator[Callable[[], str]]:
    """Yield what makes an empty database and returns its URL; processes with one folder share the server."""
    with _server("postgres", folder) as url, fresh_databases(url) as make:
        yield make


@contextmanager
def broker_server(folder: Path) -> Iterator[str]:
    """Yield the URL of a RabbitMQ; processes with one folder share it."""
    with _server("rabbit", folder) as url:
        yield url


@contextmanager
def _server(kind: str, folder: Path) -> Iterator[str]:
    given = os.environ.get(_VARIABLES[kind])
    if given:
        yield given
        return
    if not docker_is_usable():
        ensure_local_binaries()
    with shared_server(kind, folder) as url:
        yield url
