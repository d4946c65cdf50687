"""What is Postgres's own: its URL, how long it may be silent, and its lock for migrations."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError

from shared.errors import Code, UsageError

#: Unless the URL says otherwise (https://www.postgresql.org/docs/current/libpq-connect.html).
_DEFAULTS = {"connect_timeout": 10, "keepalives_idle": 30, "tcp_user_timeout": 30_000}
#: How long one statement may go without an answer, in seconds.
_ANSWER_PATIENCE = 30.0
#: The same for one that reads all results of a job, or changes all rows of a table.
_LONG_PATIENCE = 3600.0
_READING_MEMORY = "64MB"
#: How long a lock on the deny list is waited for, in seconds: whoever holds it is done within moments.
_LOCK_PATIENCE = 20.0
#: Names the advisory lock that lets one process at a time create or migrate the tables.
_MIGRATION_LOCK = 0x5310_5167


def open_engine(url: str) -> Engine:
    """Return the engine of a URL; raise ``UsageError(database_unsupported)`` if it is none."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # their texts repeat the URL, password and all
        detail = "the URL of Postgres is not well-formed"
        raise UsageError(Code.DATABASE_UNSUPPORTED, detail) from None
    defaults = {name: value for name, value in _DEFAULTS.items() if name not in parsed.query}
    # A connection that died while it lay idle is noticed and replaced.
    engine = create_engine(parsed, pool_pre_ping=True, connect_args=defaults)
    event.listen(engine, "do_connect", _connect)
    return engine


def name_of(engine: Engine) -> str:
    """Return the URL without its secrets: libpq takes a password among the parameters, too."""
    return engine.url.set(query={}).render_as_string(hide_password=True)


def lock_migrations(connection: Connection) -> None:
    """Wait until no other process creates or migrates tables, and keep others from it in this transaction."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})


def hold_denied(connection: Connection) -> None:
    """Hold the deny list together with others, until this transaction ends."""
    connection.execute(text("LOCK TABLE denied IN ROW SHARE MODE"))


def seize_denied(connection: Connection) -> None:
    """Wait for all that hold the deny list, and keep others from it until this transaction ends.

    Who only reads it is not disturbed, nor a backup. The wait is bounded here, too: the server would go on
    waiting for one who has given up, and let nobody pass.
    """
    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_PATIENCE:g}s'"))
    connection.execute(text("LOCK TABLE denied IN EXCLUSIVE MODE"))


@contextmanager
def reading_at_length(connection: Connection) -> Iterator[None]:
    """Let all statements of a transaction that begins now read the same state, and each take long."""
    connection.execution_options(isolation_level="REPEATABLE READ")
    # Millions of rows are grouped in memory rather than sorted on disk; the default is for small queries.
    connection.execute(text(f"SET LOCAL work_mem = '{_READING_MEMORY}'"))
    with unhurried(connection):
        yield


@contextmanager
def unhurried(connection: Connection) -> Iterator[None]:
    """Let each statement take long."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, _Connection)
    driver.patience = _LONG_PATIENCE
    try:
        yield
    finally:
        del driver.patience  # it is the class's again


def _connect(_dialect: object, _record: object, arguments: Any, parameters: Any) -> "_Connection":
    return _Connection.connect(*arguments, **parameters)


class _Connection(psycopg.Connection[Any]):
    """Gives up a server that is silent: one that hangs keeps its connections open for ever."""

    #: How long one statement may go without an answer, in seconds.
    patience = _ANSWER_PATIENCE

    def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        """See psycopg's own."""
        options.setdefault("timeout", self.patience)
        try:
            return super().wait(gen, *arguments, **options)
        except psycopg.OperationalError as error:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            # Closed, so that nothing more is said to it: not even a rollback, which would wait as long.
            self.pgconn.finish()
            raise psycopg.OperationalError(f"no answer within {options['timeout']:g} s") from error
