"""Fresh databases on a PostgreSQL server."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
from psycopg.sql import SQL, Identifier

from shared.store.schema_api import metadata

DRIVER = "postgresql+psycopg"
_PATIENCE = 10


def accepts(url: str) -> bool:
    """Tell whether the server lets one in."""
    try:
        psycopg.connect(_plain(url), connect_timeout=_PATIENCE).close()
    except psycopg.OperationalError:
        return False
    return True


def _plain(url: str) -> str:
    """Return the URL as PostgreSQL's own clients want it: without SQLAlchemy's driver."""
    return urlsplit(url)._replace(scheme="postgresql").geturl()


def create_database(url: str) -> str:
    """Make an empty database on the server of this URL and return the URL of the new one."""
    name = f"smartsight_test_{uuid.uuid4().hex}"
    _execute(url, SQL("CREATE DATABASE {} TEMPLATE template0").format(Identifier(name)))
    return urlsplit(url)._replace(scheme=DRIVER, path=f"/{name}").geturl()


def drop_database(url: str, database: str) -> None:
    """Drop the database of the second URL, whoever may still be connected, from the first."""
    name = urlsplit(database).path.removeprefix("/")
    _execute(url, SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> %s"
)
_RESTARTS = "SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'"


def empty_database(url: str) -> None:
    """Take all rows out of a database, and whoever is connected to it; its tables stay.

    Tests leave few rows: to delete them costs a tenth of what TRUNCATE does, which makes all files anew.
    """
    with psycopg.connect(_plain(url), autocommit=True, connect_timeout=_PATIENCE) as connection:
        connection.execute(_OTHERS, [connection.info.backend_pid])
        there = {name for (name,) in connection.execute("SELECT tablename FROM pg_tables")}
        # Those that refer to others come first.
        tables = [table.name for table in reversed(metadata.sorted_tables) if table.name in there]
        with connection.transaction(), connection.pipeline():
            for table in tables:
                connection.execute(SQL("DELETE FROM {}").format(Identifier(table)))
            connection.execute(_RESTARTS)


@contextmanager
def fresh_databases(url: str) -> Iterator[Callable[[], str]]:
    """Yield what makes a database on a server that is not ours; all of them are dropped at the end."""
    made: list[str] = []

    def make() -> str:
        made.append(create_database(url))
        return made[-1]

    try:
        yield make
    finally:
        for database in made:
            drop_database(url, database)


def _execute(url: str, statement: "psycopg.sql.Composed") -> None:
    with psycopg.connect(_plain(url), autocommit=True, connect_timeout=_PATIENCE) as connection:
        connection.execute(statement)
