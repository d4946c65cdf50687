"""Open a database by its URL, bring its tables up to date, and turn its errors into ours."""

import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from shared.errors import Code, ResourceError, UsageError
from shared.store.schema import REVISION, alembic_version, metadata

_SQLITE = "sqlite:///"
_POSTGRES = "postgresql+psycopg"
_MIGRATIONS = Path(__file__).with_name("migrations")
#: How long a writer waits for another one, in seconds.
_SQLITE_PATIENCE = 30.0
#: How long to wait for a Postgres that does not answer, in seconds
#: (https://www.postgresql.org/docs/current/libpq-connect.html).
_POSTGRES_PATIENCE = {"connect_timeout": 10, "keepalives_idle": 30, "tcp_user_timeout": 30_000}
#: Names the advisory lock that lets one process at a time create or migrate the tables.
_MIGRATION_LOCK = 0x5310_5167
#: Execution option that says how a transaction begins: see ``Database.write``.
_BEGIN = "sqlite_begin"


class Database:
    """An open database with up-to-date tables."""

    def __init__(self, url: str) -> None:
        """Open and migrate.

        Raises ``UsageError(database_unsupported)`` or ``ResourceError(database_unavailable)``.
        """
        parsed = _parse(url)
        #: What messages call it: the URL without its secrets.
        self.name = _without_secrets(parsed) if _is_postgres(parsed) else url
        self._engine = _create_engine(parsed)
        self._writing = self._engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
        try:
            with self._translated():
                self._migrate()
        except ResourceError:
            self.close()
            raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection to read from one moment's state."""
        with self._translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection whose changes are committed together at the end.

        SQLite takes its write lock at the beginning: a transaction that asks for it half way cannot wait.
        """
        with self._translated(), self._writing.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise ResourceError(Code.DATABASE_UNAVAILABLE, f"{self.name}: {_cause(error)}") from error

    def _migrate(self) -> None:
        with self._engine.connect() as connection:
            if _revision(connection) == REVISION:
                return
        with self._writing.begin() as connection:
            _lock_migrations(connection)
            revision = _revision(connection)
            if revision is None:
                # A new database: the tables as they are now, without the way they came about.
                metadata.create_all(connection)
                connection.execute(insert(alembic_version).values(version_num=REVISION))
            elif revision > REVISION:
                detail = f"{self.name}: written by a newer SmartSight (revision {revision})"
                raise ResourceError(Code.DATABASE_UNAVAILABLE, detail)
            elif revision < REVISION:
                upgrade(connection)


def upgrade(connection: Connection) -> None:
    """Run the migrations that are missing."""
    # Alembic takes a quarter of a second to import, and is needed once in a database's life.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _parse(url: str) -> URL:
    """Return the URL in parts.

    Of SQLite's, whatever follows ``sqlite:///`` is the file's path, letter for letter.
    """
    if url.startswith(_POSTGRES + "://"):
        return _parse_postgres(url)
    path = url.removeprefix(_SQLITE)
    if not url.startswith(_SQLITE):
        kind = url.partition(":")[0] if "://" in url else repr(url)
        detail = f"{kind}: say {_SQLITE}PATH, with three slashes, or {_POSTGRES}://USER:PASSWORD@HOST/NAME"
        raise UsageError(Code.DATABASE_UNSUPPORTED, detail)
    if path in ("", ":memory:"):
        raise UsageError(Code.DATABASE_UNSUPPORTED, f"{url} has no file to keep results in: {_SQLITE}PATH")
    return URL.create("sqlite", database=path)


def _parse_postgres(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):  # their texts repeat the URL, password and all
        detail = f"not of the form {_POSTGRES}://USER:PASSWORD@HOST:PORT/NAME"
        raise UsageError(Code.DATABASE_UNSUPPORTED, detail) from None


def _without_secrets(url: URL) -> str:
    # libpq takes a password among the parameters, too.
    return url.set(query={}).render_as_string(hide_password=True)


def _is_postgres(url: URL) -> bool:
    return url.drivername == _POSTGRES


def _create_engine(url: URL) -> Engine:
    if _is_postgres(url):
        defaults = {name: value for name, value in _POSTGRES_PATIENCE.items() if name not in url.query}
        # A connection that died while it lay idle is noticed and replaced.
        return create_engine(url, pool_pre_ping=True, connect_args=defaults)
    engine = create_engine(url)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _lock_migrations(connection: Connection) -> None:
    """Wait until no other process creates or migrates tables; SQLite's write lock says that already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})


def _set_up_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late: we send it ourselves
    connection.execute(f"PRAGMA busy_timeout = {_SQLITE_PATIENCE * 1000:.0f}")
    _use_write_ahead_log(connection)
    # With that log a killed process loses nothing, and a power cut the last moments.
    connection.execute("PRAGMA synchronous = NORMAL")


def _use_write_ahead_log(connection: Any) -> None:
    """Let readers and the writer not wait for one another.

    Changing the mode does not honour the busy timeout when several processes open a new database at
    once (https://www.sqlite.org/wal.html, "Sometimes queries return SQLITE_BUSY in WAL mode").
    """
    deadline = time.monotonic() + _SQLITE_PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0, 0.05))
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(select(alembic_version.c.version_num)).scalar()


def _cause(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error)
