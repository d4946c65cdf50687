"""Transactions that meet half way, on purpose."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event, text

from shared.store.database import Database

PATIENCE = 20.0


@contextmanager
def stopped_before(database: Database, words: str) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Start something in a thread; it stops before a statement with these words, and goes on in the end."""
    reached, go_on = threading.Event(), threading.Event()

    def stop(*arguments: Any) -> None:
        if threading.current_thread() in started and words in arguments[2]:
            reached.set()
            assert go_on.wait(PATIENCE)

    def start(work: Callable[[], None]) -> None:
        started.append(threading.Thread(target=work))
        started[0].start()
        assert reached.wait(PATIENCE)

    started: list[threading.Thread] = []
    event.listen(database._engine, "before_cursor_execute", stop)
    try:
        yield start
    finally:
        go_on.set()
        started[0].join()
        event.remove(database._engine, "before_cursor_execute", stop)


def somebody_waits(database: Database) -> bool:
    """Tell whether somebody waits for a lock; SQLite, whose writers take turns, cannot be asked."""
    with database.read() as connection:
        if connection.dialect.name == "sqlite":
            return True
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        return bool(connection.execute(text(waiting)).scalar())
