"""Building blocks of statements: insert new rows, and count them."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Connection, Table, bindparam, func, insert, literal, or_, select

from shared.store.mapping import ref_hash
from shared.store.schema import items, progress, results

SAME_ITEM = (results.c.job_id == items.c.job_id) & (results.c.index == items.c.index)


def _insert(connection: Connection, table: Table) -> Any:
    """Return an INSERT with support for ON CONFLICT."""
    # Importing the other database's module would import all its drivers.
    return import_module(f"sqlalchemy.dialects.{connection.dialect.name}").insert(table)


def insert_new(connection: Connection, table: Table, *key: str) -> Any:
    """Return an INSERT that leaves existing rows unchanged."""
    return _insert(connection, table).on_conflict_do_nothing(index_elements=key)


def upsert(connection: Connection, table: Table, key: Sequence[str], columns: Sequence[str]) -> Any:
    """Return an INSERT that updates these columns of existing rows."""
    statement = _insert(connection, table)
    change = {name: statement.excluded[name] for name in columns}
    return statement.on_conflict_do_update(index_elements=key, set_=change)


def upsert_where(
    connection: Connection,
    table: Table,
    key: Sequence[str],
    columns: Sequence[str],
    condition: Callable[[Any], ColumnElement[bool]],
) -> Any:
    """Return an INSERT that updates existing rows if they meet a condition."""
    statement = _insert(connection, table)
    new = statement.excluded
    change = {name: new[name] for name in columns}
    return statement.on_conflict_do_update(index_elements=key, set_=change, where=condition(new))


def insert_or_add(
    connection: Connection, table: Table, key: Sequence[str], column: str, limit: int | None = None
) -> Any:
    """Return an INSERT that adds to a number of an existing row, if the sum is within the limit."""
    statement = _insert(connection, table)
    total = table.c[column] + statement.excluded[column]
    within = None if limit is None else total <= limit
    return statement.on_conflict_do_update(index_elements=key, set_={column: total}, where=within)


def insert_many_new(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *key: str
) -> None:
    """Insert rows with the same columns; leave existing ones unchanged."""
    _insert_many(connection, table, rows, insert_new(connection, table, *key))


def insert_or_hold(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], key: str) -> None:
    """Insert rows; leave existing ones unchanged, and keep them from being deleted in this transaction."""
    _insert_many(connection, table, rows, upsert(connection, table, [key], [key]))


def _insert_many(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], statement: Any
) -> None:
    if connection.dialect.name == "postgresql":
        # One array per column takes a third of the time of one parameter list per row.
        arrays = [func.unnest(bindparam(name, type_=ARRAY(table.c[name].type))) for name in rows[0]]
        values = {name: [row[name] for row in rows] for name in rows[0]}
        connection.execute(statement.from_select(list(values), select(*arrays)), values)
    else:
        connection.execute(statement, rows)


def add_progress(connection: Connection, outcomes: Iterable[tuple[int, str, str | None]]) -> None:
    """Count results by job, state and code."""
    add_counts(connection, Counter(outcomes))


def add_counts(connection: Connection, counts: Mapping[tuple[int, str, str | None], int]) -> None:
    """Add to (or subtract from) the counts of results by job, state and code."""
    rows = [
        {"job_id": job_id, "state": state, "code": code, "count": count}
        for (job_id, state, code), count in counts.items()
    ]
    if rows:
        connection.execute(insert(progress), rows)


def insert_counted(connection: Connection, columns: list[str], source: Any) -> None:
    """Store the results of a query for items without one, and count the new ones."""
    statement = insert_new(connection, results, "job_id", "index").from_select(columns, source)
    rows = connection.execute(statement.returning(results.c.job_id, results.c.state, results.c.code)).all()
    add_progress(connection, (tuple(row) for row in rows))


def done_of(job_id: int) -> Any:
    """Return a subquery for the number of items of a job with a result."""
    total = func.coalesce(func.sum(progress.c.count), 0)
    return select(total).where(progress.c.job_id == job_id).scalar_subquery()


def is_ref(url: str) -> ColumnElement[bool]:
    """Return the condition for items with this reference."""
    # The index has the short digest, which several references can share.
    return (items.c.ref_hash == ref_hash(url)) & (items.c.ref == url)


def clock(connection: Connection) -> ColumnElement[Any]:
    """Return an expression for the time in seconds since 1970, by the database server's clock."""
    if connection.dialect.name == "postgresql":
        return func.extract("epoch", func.clock_timestamp())
    return literal(time.time())


#: How many times longer than ours the lease of another process may last, and the least that is reckoned
#: with, in seconds.
_LONGEST_LEASE, _LEAST_LEASE = 10, 10.0


def is_free(columns: Any, now: Any, seconds: float, holder: str | None = None) -> ColumnElement[bool]:
    """Return the condition for rows that nobody but this holder leases; leases last so many seconds.

    One that lasts far longer was taken by a clock that was ahead, and is none. The table has the columns
    ``holder`` and ``held_until``.
    """
    longest = _LONGEST_LEASE * max(seconds, _LEAST_LEASE)
    ended = (columns.held_until < now) | (columns.held_until > now + longest)
    return or_(columns.holder.is_(None), columns.holder == holder, ended)


def time_now(connection: Connection) -> float:
    """Return the time by ``clock``."""
    return float(connection.execute(select(clock(connection))).scalar_one())
