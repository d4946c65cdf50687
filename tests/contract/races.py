"""Transactions that meet half way, on purpose."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event, text

from shared.store.database import Database
from shared.store.search import FoundColumns, Search
from shared.store.store import Filter, Store

PATIENCE = 20.0


class ChangingStore(Store):
    """Has something happen between the first page of found results and the next."""

    def __init__(self, database: Database, change: Callable[[], object]) -> None:
        super().__init__(database)
        self.search = _ChangingSearch(database, change)


class _ChangingSearch(Search):
    def __init__(self, database: Database, change: Callable[[], object]) -> None:
        super().__init__(database)
        self._changes = iter([change])

    def columns(self, job_id: int, wanted: Filter, after: int, limit: int) -> FoundColumns:
        page = super().columns(job_id, wanted, after, limit)
        for change in self._changes:
            change()
        return page


@contextmanager
def stopped_after(database: Database, words: str) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Start something in a thread; it stops behind a statement with these words, and commits in the end."""
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
    event.listen(database._engine, "after_cursor_execute", stop)
    try:
        yield start
    finally:
        go_on.set()
        started[0].join()
        event.remove(database._engine, "after_cursor_execute", stop)


def somebody_waits(database: Database) -> bool:
    """Tell whether somebody waits for a lock; SQLite, whose writers take turns, cannot be asked."""
    with database.read() as connection:
        if connection.dialect.name == "sqlite":
            return True
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        return bool(connection.execute(text(waiting)).scalar())
