"""Everything specific to Postgres: its URL, timeouts and locks."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError

from shared.errors import Code, UsageError
from shared.server_urls import ESCAPES

#: Unless the URL says otherwise (https://www.postgresql.org/docs/current/libpq-connect.html). No statement is
#: prepared in the server: a session's statements get lost where a pooler gives each transaction any session
#: (https://www.psycopg.org/psycopg3/docs/advanced/prepare.html).
_DEFAULTS = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "tcp_user_timeout": 30_000,
    "prepare_threshold": None,
}
#: Parameters that are whole numbers.
_NUMBERS = (
    *("connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
    *("tcp_user_timeout", "prepare_threshold"),
)
#: Time limit for the answer to one statement, in seconds.
_ANSWER_TIMEOUT = 30.0
#: The same for a statement that reads all results of a job or changes all rows of a table.
_LONG_TIMEOUT = 3600.0
_READING_MEMORY = "64MB"
#: Time limit for a lock on the deny list, in seconds; it is held for moments only.
_LOCK_TIMEOUT = 20.0
_PORTS = range(1, 65_536)
#: Number of the advisory lock that lets one process at a time create or migrate the tables.
_MIGRATION_LOCK = 0x5310_5167


def open_engine(url: str) -> Engine:
    """Return the engine of a URL.

    Raises ``UsageError(database_unsupported)`` if the URL is malformed or has a parameter that is not for it.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # their messages contain the URL with its password
        detail = "the URL of Postgres is not well-formed"
        raise UsageError(Code.DATABASE_UNSUPPORTED, detail) from None
    if _is_ambiguous(url, parsed):
        detail = f"the URL of Postgres is not well-formed: ports are from 1 to 65535, and {ESCAPES}"
        raise UsageError(Code.DATABASE_UNSUPPORTED, detail)
    # An idle connection that has died is detected and replaced.
    engine = create_engine(parsed, pool_pre_ping=True, connect_args=_DEFAULTS | _checked(parsed.query))
    event.listen(engine, "do_connect", _connect)
    return engine


def _is_ambiguous(url: str, parsed: URL) -> bool:
    """Tell whether a part of the password was taken for a host, a database or a parameter."""
    credentials, at, rest = url.partition("://")[2].partition("@")
    if parsed.username is None and parsed.password is None:
        return at != "" and "?" not in credentials
    return "@" in rest or not (parsed.port is None or parsed.port in _PORTS)


def _checked(given: Mapping[str, str | Sequence[str]]) -> dict[str, Any]:
    """Return a URL's parameters as the driver takes them.

    They are libpq's, and ``prepare_threshold``. The driver's others would change how transactions work.
    """
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    for name in given:
        if name not in known | {"prepare_threshold"}:
            # What follows a password that is not escaped may be a part of it.
            named = "what follows its password" if any("password" in one for one in given) else repr(name)
            detail = f"{named} is no parameter of a Postgres URL: use those of libpq, or prepare_threshold"
            raise UsageError(Code.DATABASE_UNSUPPORTED, detail)
        if name != "host" and not isinstance(given[name], str):
            raise UsageError(Code.DATABASE_UNSUPPORTED, f"the URL of Postgres names {name!r} twice")
    return {name: _number(name, str(given[name])) for name in _NUMBERS if name in given}


def _number(name: str, text: str) -> int | None:
    if name == "prepare_threshold" and text.lower() == "none":
        return None
    try:
        return int(text)
    except ValueError:
        detail = f"{name} is to be a whole number, in the URL of Postgres"
        raise UsageError(Code.DATABASE_UNSUPPORTED, detail) from None


def name_of(engine: Engine) -> str:
    """Return the URL without secrets; libpq also takes a password as a parameter."""
    return engine.url.set(query={}).render_as_string(hide_password=True)


def lock_migrations(connection: Connection) -> None:
    """Hold the migration lock until this transaction ends; wait until it is free."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})


def hold_denied(connection: Connection) -> None:
    """Hold a shared lock on the deny list until this transaction ends."""
    connection.execute(text("LOCK TABLE denied IN ROW SHARE MODE"))


def seize_denied(connection: Connection) -> None:
    """Hold an exclusive lock on the deny list until this transaction ends; wait for shared ones.

    Readers and backups are not blocked. The server limits the wait, too: otherwise it would go on waiting
    for a client that has given up, and block everybody else.
    """
    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT:g}s'"))
    connection.execute(text("LOCK TABLE denied IN EXCLUSIVE MODE"))


@contextmanager
def reading_at_length(connection: Connection) -> Iterator[None]:
    """Let all statements of this new transaction read one snapshot, and each take long."""
    connection.execution_options(isolation_level="REPEATABLE READ")
    # Group millions of rows in memory instead of sorting them on disk; the default is for small queries.
    connection.execute(text(f"SET LOCAL work_mem = '{_READING_MEMORY}'"))
    with unhurried(connection):
        yield


@contextmanager
def unhurried(connection: Connection) -> Iterator[None]:
    """Lift the time limit of each statement."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, _Connection)
    driver.answer_timeout = _LONG_TIMEOUT
    try:
        yield
    finally:
        del driver.answer_timeout  # back to the class's default


def _connect(_dialect: object, _record: object, arguments: Any, parameters: Any) -> "_Connection":
    return _Connection.connect(*arguments, **parameters)


class _Connection(psycopg.Connection[Any]):
    """Gives up a server that does not answer: a hanging server keeps its connections open."""

    #: Time limit for the answer to one statement, in seconds.
    answer_timeout = _ANSWER_TIMEOUT

    def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        """Wait for an answer, as psycopg does, but only for the time limit."""
        options.setdefault("timeout", self.answer_timeout)
        try:
            return super().wait(gen, *arguments, **options)
        except psycopg.OperationalError as error:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            # Close it, so that nothing more is sent: even a rollback would wait as long.
            self.pgconn.finish()
            raise psycopg.OperationalError(f"no answer within {options['timeout']:g} s") from error
