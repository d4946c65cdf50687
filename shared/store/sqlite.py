"""Everything specific to SQLite: its URL, locks and log."""

import os
import random
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

from shared.errors import Code, UsageError

PREFIX = "sqlite:///"
#: How long a writer waits for another one, in seconds.
_BUSY_TIMEOUT = 30.0
#: Execution option for how a transaction begins; ``Database.write`` sets it.
BEGIN = "sqlite_begin"


def open_engine(url: str) -> Engine:
    """Return the engine of a file; everything after ``sqlite:///`` is its path, taken literally.

    A new file is its owner's only. Raises ``UsageError(database_unsupported)`` if there is no path.
    """
    path = url.removeprefix(PREFIX)
    if path in ("", ":memory:"):
        raise UsageError(Code.DATABASE_UNSUPPORTED, f"{url} names no file: use {PREFIX}PATH")
    _create_private(path)
    engine = create_engine(URL.create("sqlite", database=path))
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _create_private(path: str) -> None:
    """Create a missing file that only its owner may read: it holds URLs, webhook secrets and results.

    SQLite gives its log and its shared memory the mode of the database (``findCreateFileMode`` in os_unix.c).
    """
    with suppress(OSError):  # it exists, or SQLite says why it cannot be opened
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


def make_private(url: str) -> None:
    """Let only its owner read an older file, its log and its shared memory, as far as we may say so."""
    for ending in ("", "-wal", "-shm"):
        with suppress(OSError):
            Path(url.removeprefix(PREFIX) + ending).chmod(0o600)


def _set_up(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late, so we send it ourselves
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT * 1000:.0f}")
    _use_write_ahead_log(connection)
    # With a write-ahead log, a killed process loses nothing, and a power cut the last moments.
    connection.execute("PRAGMA synchronous = NORMAL")


def _use_write_ahead_log(connection: Any) -> None:
    """Switch to a write-ahead log, so that readers and the writer do not wait for one another.

    Changing the mode does not honour the busy timeout when several processes open a new database at
    once (https://www.sqlite.org/wal.html, "Sometimes queries return SQLITE_BUSY in WAL mode").
    """
    deadline = time.monotonic() + _BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0, 0.05))
        else:
            return


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(BEGIN, "BEGIN"))
