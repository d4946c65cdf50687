"""Items that wait for another attempt: in a delay queue of the broker, or in the store for a failing host."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, exists, func, or_, select

from shared.errors import Code
from shared.items import ItemState, Message, Result, now
from shared.store.database import Database
from shared.store.schema import jobs, results
from shared.store.schema_hosts import hosts, retries, waiting
from shared.store.statements import add_progress, insert_new, time_now, upsert
from shared.time_left import RetryGroup, Waiting

#: Items that are looked at to say how many wait; what is beyond them is "more".
_COUNTED = 10_000
#: A host that is closed for no longer than that, in seconds, and has not failed repeatedly is only slow.
_SHORT = 10.0
_KEPT = ("host", "final_url", "state", "code", "detail", "attempts", "http_status")


class Retries:
    """The statements on items that wait for another attempt."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, failure: Result, seconds: float | None, most_seconds: float) -> None:
        """Note that an item failed and is attempted again after so many seconds, or when its host allows.

        It has a result after ``most_seconds`` at the latest if it goes on failing. Nothing is noted of an
        item that has a result already.
        """
        evidence = asdict(failure.evidence)
        known = {"state": failure.state, "code": failure.code, "detail": failure.detail}
        values = {name: evidence.get(name) for name in _KEPT} | known
        with self._database.write() as connection:
            if has_result(connection, failure.job_id, failure.index):
                return
            time = time_now(connection)
            values |= {"job_id": failure.job_id, "index": failure.index, "attempts": failure.attempts}
            values |= {"due_at": 0 if seconds is None else time + seconds, "ends_at": time + most_seconds}
            changes = (*_KEPT, "due_at", "ends_at")
            connection.execute(upsert(connection, retries, ("job_id", "index"), changes), values)

    def is_over(self, message: Message) -> bool:
        """Tell whether the item has a result, though it was to be attempted again: it was given up."""
        with self._database.read() as connection:
            return has_result(connection, message.job_id, message.index)

    def waiting(self, job_id: int) -> Waiting | None:
        """Return what of a job waits for another attempt; None if nothing does."""
        with self._database.read() as connection:
            return read_waiting(connection, job_id)

    def give_up(self, job_id: int, start: int, stop: int) -> int:
        """End the waiting items of a range of indexes with their last failure; return how many they are.

        Items that wait for a host which is backed off, and were not attempted yet, end with ``host_down``.
        Duplicates get the same by ``Duplicates.backfill``.
        """
        with self._database.write() as connection:
            failures = [*_failed(connection, job_id, start, stop), *_held_up(connection, job_id, start, stop)]
            ended = _store(connection, job_id, failures) if failures else []
            span = retries.c.index.between(start, stop - 1)
            connection.execute(delete(retries).where(retries.c.job_id == job_id, span))
            over = exists().where(results.c.job_id == job_id, results.c.index == waiting.c.index)
            theirs = (waiting.c.job_id == job_id) & waiting.c.index.between(start, stop - 1) & over
            connection.execute(delete(waiting).where(theirs))
            return len(ended)


def has_result(connection: Connection, job_id: int, index: int) -> bool:
    """Tell whether an item has a result."""
    query = select(results.c.index).where(results.c.job_id == job_id, results.c.index == index)
    return connection.execute(query).first() is not None


def read_waiting(connection: Connection, job_id: int) -> Waiting | None:
    """Return what of a job waits for another attempt, as seen by this connection."""
    time = time_now(connection)
    rows = [*connection.execute(_in_broker(job_id, time)), *connection.execute(_for_hosts(job_id, time))]
    if not rows:
        return None
    groups = tuple(sorted(map(_group, rows), key=lambda group: (-group.count, group.next_at)))
    ends = [row.ends_at for row in rows]
    count = sum(group.count for group in groups)
    return Waiting(
        count=min(count, _COUNTED),
        is_all=count <= _COUNTED,
        next_at=min(group.next_at for group in groups),
        ends_by=_time(max(ends)) if all(ends) and count <= _COUNTED else None,
        groups=groups,
    )


def _group(row: Any) -> RetryGroup:
    return RetryGroup(row.host, row.code, row.count, _time(row.next_at))


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(round(seconds), UTC)


def _in_broker(job_id: int, time: float) -> Select[Any]:
    """Return the items in the broker's delay queues, by host and code."""
    due = (retries.c.job_id == job_id) & (retries.c.due_at > time)
    query = select(retries.c.host, retries.c.code, retries.c.due_at, retries.c.ends_at).where(due)
    found = query.order_by(retries.c.due_at).limit(_COUNTED + 1).subquery("found")
    next_at, ends_at = func.min(found.c.due_at), func.max(found.c.ends_at)
    return _by_host(found, next_at, ends_at)


def _for_hosts(job_id: int, time: float) -> Select[Any]:
    """Return the items that wait for hosts which are backed off, by host."""
    query = select(waiting.c.host, hosts.c.code, hosts.c.closed_until, hosts.c.gives_up_at)
    query = query.select_from(waiting.join(hosts, hosts.c.host == waiting.c.host))
    query = query.where(waiting.c.job_id == job_id, *_backed_off(time))
    found = query.limit(_COUNTED + 1).subquery("found")
    return _by_host(found, func.max(found.c.closed_until), func.max(found.c.gives_up_at))


def _by_host(found: Any, next_at: Any, ends_at: Any) -> Select[Any]:
    count = func.count().label("count")
    query = select(found.c.host, found.c.code, count, next_at.label("next_at"), ends_at.label("ends_at"))
    return query.group_by(found.c.host, found.c.code)


def _backed_off(time: float) -> tuple[Any, ...]:
    """Return the conditions for hosts that are left alone for a while and not given up yet."""
    closed = or_(hosts.c.closed_until > time + _SHORT, (hosts.c.trips > 0) & (hosts.c.closed_until > time))
    not_given_up = or_(hosts.c.gives_up_at == 0, hosts.c.gives_up_at > time)
    return hosts.c.has_waiting, hosts.c.blocked.is_(False), closed, not_given_up


def _failed(connection: Connection, job_id: int, start: int, stop: int) -> list[dict[str, Any]]:
    columns = (retries.c.index, *(retries.c[name] for name in _KEPT))
    query = select(*columns).where(retries.c.job_id == job_id, retries.c.index.between(start, stop - 1))
    return [dict(row) for row in connection.execute(query.order_by(retries.c.index)).mappings()]


def _held_up(connection: Connection, job_id: int, start: int, stop: int) -> list[dict[str, Any]]:
    """Return the items that wait for hosts which are backed off, and have not failed themselves."""
    query = select(waiting.c.index, waiting.c.host, waiting.c.attempt, hosts.c.code)
    query = query.select_from(waiting.join(hosts, hosts.c.host == waiting.c.host))
    span = (waiting.c.job_id == job_id) & waiting.c.index.between(start, stop - 1)
    failed = exists().where(retries.c.job_id == job_id, retries.c.index == waiting.c.index)
    query = query.where(span, ~failed, *_backed_off(time_now(connection))).order_by(waiting.c.index)
    down = {"state": ItemState.FAILED, "code": Code.HOST_DOWN, "final_url": None, "http_status": None}
    return [
        {"index": row.index, "host": row.host, "attempts": row.attempt, "detail": f"{row.host}: {row.code}"}
        | down
        for row in connection.execute(query)
    ]


def _store(connection: Connection, job_id: int, failures: list[dict[str, Any]]) -> list[int]:
    """Store failures as results and count them; return the indexes of those that had none yet."""
    model_id = connection.execute(select(jobs.c.model_id).where(jobs.c.id == job_id)).scalar_one()
    same = {"job_id": job_id, "model_id": model_id, "class_ids": (), "scores": (), "finished_at": now()}
    statement = insert_new(connection, results, "job_id", "index").returning(results.c.index)
    rows = [failure | same | {"reused": False} for failure in sorted(failures, key=lambda one: one["index"])]
    ended = set(connection.execute(statement, rows).scalars())
    counted = [failure for failure in failures if failure["index"] in ended]
    add_progress(connection, ((job_id, failure["state"], failure["code"]) for failure in counted))
    return sorted(ended)
