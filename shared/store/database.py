"""Open a database by its URL, migrate its tables, and translate its errors."""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import Connection, Engine, insert, inspect, select
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from shared.errors import Code, ResourceError, UsageError
from shared.server_urls import without_password
from shared.store import sqlite
from shared.store.schema import alembic_version
from shared.store.schema_api import metadata  # imported last: it has the tables of all modules

_MIGRATIONS = Path(__file__).with_name("migrations")
_POSTGRES = "postgresql+psycopg://"
_FORMS = f"{sqlite.PREFIX}PATH, with three slashes, or {_POSTGRES}USER:PASSWORD@HOST:PORT/NAME"


class Database:
    """An open database with up-to-date tables."""

    def __init__(self, url: str) -> None:
        """Open and migrate.

        Raises ``UsageError(database_unsupported)`` or ``ResourceError(database_unavailable)``.
        """
        self._engine, self.name = _open_engine(url)
        self._writing = self._engine.execution_options(**{sqlite.BEGIN: "BEGIN IMMEDIATE"})
        try:
            with self._translated():
                self._migrate()
        except ResourceError:
            self.close()
            raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that reads one snapshot."""
        with self._translated(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def read_at_length(self) -> Iterator[Connection]:
        """Give a connection whose statements all read one snapshot, and may each take long."""
        with self.read() as connection, _patient(connection):
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection whose changes are committed together at the end.

        SQLite takes its write lock at the start: a transaction that asks for it half way cannot wait.
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
        except (DataError, IntegrityError) as error:
            raise ResourceError(Code.DATABASE_REFUSED, f"{self.name}: {_cause(error)}") from error
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise ResourceError(Code.DATABASE_UNAVAILABLE, f"{self.name}: {_cause(error)}") from error

    def _migrate(self) -> None:
        with self._engine.connect() as connection:
            newest = newest_revision()
            if _revision(connection) == newest:
                return
        with self._writing.begin() as connection:
            _lock_migrations(connection)
            revision = _revision(connection)
            if revision is None:
                # A new database gets the current tables directly, without migrations.
                metadata.create_all(connection)
                connection.execute(insert(alembic_version).values(version_num=newest))
            elif revision > newest:
                detail = f"{self.name}: written by a newer SmartSight (revision {revision})"
                raise ResourceError(Code.DATABASE_UNAVAILABLE, detail)
            elif revision < newest:
                with _unhurried(connection):
                    upgrade(connection)


def newest_revision() -> str:
    """Return the number of the newest migration: the files of migrations begin with theirs."""
    return max(path.name[:4] for path in _MIGRATIONS.glob("versions/[0-9]*.py"))


def upgrade(connection: Connection) -> None:
    """Run the missing migrations."""
    # Importing Alembic takes a quarter of a second, and is rarely needed.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _open_engine(url: str) -> tuple[Engine, str]:
    """Return the engine of a URL, and its name in messages: the URL without secrets."""
    if url.startswith(sqlite.PREFIX):
        return sqlite.open_engine(url), url
    if url.startswith(_POSTGRES):
        from shared.store import postgres  # imports its driver, which SQLite does not need

        engine = postgres.open_engine(url)
        return engine, postgres.name_of(engine)
    raise UsageError(Code.DATABASE_UNSUPPORTED, f"{without_password(url)!r}: use {_FORMS}")


def _patient(connection: Connection) -> AbstractContextManager[None]:
    """Let several long statements read the same snapshot; SQLite's transactions always do."""
    if connection.dialect.name == "postgresql":
        from shared.store import postgres

        return postgres.reading_at_length(connection)
    return nullcontext()


def _unhurried(connection: Connection) -> AbstractContextManager[None]:
    """Lift the time limit of statements, for large tables; SQLite has none."""
    if connection.dialect.name == "postgresql":
        from shared.store import postgres

        return postgres.unhurried(connection)
    return nullcontext()


def _lock_migrations(connection: Connection) -> None:
    """Keep other processes from migrating during this transaction; SQLite's write lock already does."""
    if connection.dialect.name == "postgresql":
        from shared.store import postgres

        postgres.lock_migrations(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(select(alembic_version.c.version_num)).scalar()


def _cause(error: BaseException) -> str:
    """Return the driver's message, on one line."""
    return " ".join(str(getattr(error, "orig", None) or error).split())
