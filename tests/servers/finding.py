"""The PostgreSQL that tests get: the one they were given, else one of their own."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from tests.servers.binaries import ensure_local_binaries
from tests.servers.databases import fresh_databases
from tests.servers.postgres import PostgresServer

_GIVEN = "SMARTSIGHT_TEST_DATABASE_URL"


@contextmanager
def database_server() -> Iterator[Callable[[], str]]:
    """Yield what makes an empty database and returns its URL."""
    given = os.environ.get(_GIVEN)
    if given:
        with fresh_databases(given) as make:
            yield make
        return
    ensure_local_binaries()
    with closing(PostgresServer(durable=False)) as server:
        server.start()
        with fresh_databases(server.url) as make:
            yield make
