"""Hosts: leases, throttling, people's decisions, robots.txt, and the items that wait for a host.

Items wait here, outside the broker, so that a slow host does not block the others.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    bindparam,
    case,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from shared.hosts import HostState
from shared.items import Message
from shared.store.database import Database
from shared.store.jobs import RUN_LOCALLY
from shared.store.schema import jobs, results
from shared.store.schema_hosts import hosts, robots, waiting
from shared.store.statements import clock, insert_new, is_free, time_now, upsert, upsert_where

#: What a holder learns of a host, and writes back.
_LEARNED = ("delay", "next_at", "closed_until", "gives_up_at", "code", "failures", "trips")
_LOCAL_IDS = select(jobs.c.id).where(RUN_LOCALLY)
_WAITING = select(func.count()).where(waiting.c.host == hosts.c.host).scalar_subquery()
_LISTED = select(hosts, _WAITING.label("waiting"))


@dataclass(frozen=True, slots=True)
class Claims:
    """The answer to a claim: the time by the database's clock, and how each host stands.

    Those whose ``holder`` is another one are not ours.
    """

    now: float
    states: dict[str, HostState]


@dataclass(frozen=True, slots=True)
class ListedHost:
    """A host, and how many items wait for it."""

    state: HostState
    waiting: int


class Hosts:
    """The statements on hosts and on their robots.txt."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, names: Collection[str], holder: str, seconds: float) -> Claims:
        """Take those of these hosts that nobody holds, for so long, so that nobody else calls them."""
        with self._database.write() as connection:
            return claim(connection, names, holder, seconds)

    def renew(
        self, learned: Sequence[HostState], requests: Sequence[int], holder: str, seconds: float
    ) -> Claims:
        """Hold hosts for longer and write down what was learned of them, with so many more requests.

        Where people decided something of a host meanwhile, what was learned of it before is forgotten.
        Returns how they stand now. ``seconds`` of 0 gives them back.
        """
        with self._database.write() as connection:
            now = time_now(connection)
            order = sorted(range(len(learned)), key=lambda i: learned[i].host)
            mine = (hosts.c.host == bindparam("name")) & (hosts.c.holder == holder)
            learn = update(hosts).where(mine, hosts.c.generation == bindparam("known"))
            learn = learn.values({name: bindparam(f"new_{name}") for name in _LEARNED})
            connection.execute(learn, [_learned(learned[i]) for i in order])
            hold = update(hosts).where(mine)
            hold = hold.values(
                held_until=now + seconds,
                holder=holder if seconds else None,
                requests=hosts.c.requests + bindparam("more"),
            )
            connection.execute(hold, [{"name": learned[i].host, "more": requests[i]} for i in order])
            names = [state.host for state in learned]
            rows = connection.execute(select(hosts).where(hosts.c.host.in_(names))).mappings()
            return Claims(now, {row["host"]: _state(row) for row in rows})

    def set_blocked(self, host: str, blocked: bool) -> None:
        """Let nobody call a host any more; or again, with all that was held against it forgotten."""
        fresh = {name: getattr(HostState(host), name) for name in _LEARNED}
        change = {"blocked": blocked, "generation": hosts.c.generation + 1, **fresh}
        with self._database.write() as connection:
            connection.execute(insert_new(connection, hosts, "host"), {"host": host})
            connection.execute(update(hosts).where(hosts.c.host == host).values(change))

    def page(self, after: str, limit: int) -> list[ListedHost]:
        """Return the next known hosts, by name."""
        return self._listed(_LISTED.where(hosts.c.host > after).order_by(hosts.c.host).limit(limit))

    def find(self, host: str) -> ListedHost | None:
        """Return a known host."""
        return next(iter(self._listed(_LISTED.where(hosts.c.host == host))), None)

    def _listed(self, query: Select[Any]) -> list[ListedHost]:
        with self._database.read() as connection:
            rows = connection.execute(query).mappings()
            return [ListedHost(_state(row), row["waiting"]) for row in rows]

    def blocked(self, names: Collection[str]) -> set[str]:
        """Return which of these hosts are not to be called at all."""
        query = select(hosts.c.host).where(hosts.c.host.in_(names), hosts.c.blocked)
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def now(self) -> float:
        """Return the time by the database's clock, in seconds since 1970."""
        with self._database.read() as connection:
            return time_now(connection)

    def robots(self, origin: str, age: float) -> str | None:
        """Return the robots.txt of an origin, if it was stored not longer ago than ``age`` seconds."""
        with self._database.read() as connection:
            now = clock(connection)
            young = robots.c.fetched_at.between(now - age, now + _HORIZON)
            query = select(robots.c.body).where(robots.c.origin == origin, young)
            return connection.execute(query).scalar_one_or_none()

    def save_robots(self, origin: str, body: str) -> None:
        """Store the robots.txt of an origin, as it is now."""
        with self._database.write() as connection:
            now = time_now(connection)
            values = {"origin": origin, "body": body, "fetched_at": now}
            connection.execute(upsert(connection, robots, ("origin",), ("body", "fetched_at")), values)


def claim(connection: Connection, names: Collection[str], holder: str, seconds: float) -> Claims:
    """Lease these hosts if they are free, within a transaction."""
    ordered = sorted(names)
    connection.execute(insert_new(connection, hosts, "host"), [{"host": name} for name in ordered])
    now = time_now(connection)
    free = is_free(hosts.c, now, seconds, holder)
    change = update(hosts).where(hosts.c.host == bindparam("name"), free)
    # One by one in the order of names: two claims of the same hosts must not wait for each other.
    connection.execute(
        change.values(holder=holder, held_until=now + seconds), [{"name": name} for name in ordered]
    )
    rows = connection.execute(select(hosts).where(hosts.c.host.in_(ordered))).mappings()
    return Claims(now, {row["host"]: _state(row) for row in rows})


def free_hosts(
    connection: Connection, demand: "Demand", holder: str, backoff_steps: int, seconds: float
) -> Iterable[str]:
    """Return hosts for which items wait, and which this holder could serve now, longest due first.

    Hosts that backed off more than ``backoff_steps`` times are given up, and blocked ones are not called:
    what waits for them can be told so at once. Items of other jobs do not count, nor, without a job, those of
    jobs that one process runs for itself.
    """
    now = clock(connection)
    others = [] if demand.job_id is not None else list(connection.execute(_LOCAL_IDS).scalars())

    def is_past(time: ColumnElement[Any]) -> ColumnElement[bool]:
        return (time <= now + _HORIZON) | (time > now + demand.longest_pause)

    unheld = is_free(hosts.c, now, seconds, holder)
    open_ = or_(is_past(hosts.c.closed_until), hosts.c.trips > backoff_steps, hosts.c.blocked)
    query = select(hosts.c.host).where(hosts.c.has_waiting, unheld, open_, is_past(hosts.c.next_at))
    if demand.job_id is not None:
        query = query.where(exists().where(waiting.c.host == hosts.c.host, waiting.c.job_id == demand.job_id))
    elif others:  # rare, so that mostly no row of ``waiting`` is read
        query = query.where(exists().where(waiting.c.host == hosts.c.host, waiting.c.job_id.not_in(others)))
    return connection.execute(query.order_by(hosts.c.next_at).limit(_HOSTS)).scalars()


def _learned(state: HostState) -> dict[str, Any]:
    values = asdict(state)
    learned = {f"new_{name}": values[name] for name in _LEARNED}
    return learned | {"name": state.host, "known": state.generation}


def _state(row: RowMapping) -> HostState:
    return HostState(**{name: row[name] for name in HostState.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class WaitingItem:
    """An item on its way to a host: after ``hops`` redirects it is to ask for ``url``.

    ``id`` is its row in the store, once it has one; ``redeliveries`` counts the processes that died while
    they had it.
    """

    message: Message
    host: str
    url: str
    hops: int = 0
    id: int | None = None
    redeliveries: int = 0


@dataclass(frozen=True, slots=True)
class Demand:
    """What a process can take: so many items in all, and so many of each host that it has room for.

    Of a host that it does not know yet it takes ``first``; it has the rows ``in_hand`` already; with a job,
    only items of that one. No host is left alone for more seconds than the ``longest_pause``: a time further
    away was stored by a clock that was ahead.
    """

    room: int
    of_hosts: dict[str, int]
    first: int
    in_hand: frozenset[int] = frozenset()
    job_id: int | None = None
    longest_pause: float = 3600.0


@dataclass(frozen=True, slots=True)
class Taken:
    """Items that were taken, and how their hosts stand, which are held now."""

    items: list[WaitingItem]
    claims: Claims


#: What of an item can change while it waits.
_MOVING = ("host", "attempt", "url", "hops")
#: Hosts that are looked at in one go, and how soon they must be due, in seconds.
_HOSTS, _HORIZON = 100, 1.0


class WaitingItems:
    """The statements on items that wait for a host. A host's holder alone takes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, new: Sequence[WaitingItem]) -> None:
        """Let items wait; those that have a place already go back to it, changed as they may be.

        An item that has its result by now, from another delivery, does not wait, and loses its place.
        """
        with self._database.write() as connection:
            done = _with_result(connection, new)
            ordered = sorted(new, key=lambda item: (item.message.job_id, item.message.index))
            placed = [_moved(item) for item in ordered if item.id is not None]
            others = [_values(item) for item in ordered if item.id is None and _place(item) not in done]
            # First, as whoever takes items locks hosts first, too.
            _mark(connection, sorted({item.host for item in new}))
            if others:
                connection.execute(_placing(connection), others)
            if placed:
                change: dict[str, Any] = {name: bindparam(f"new_{name}") for name in _MOVING}
                back = update(waiting).where(waiting.c.id == bindparam("row"))
                connection.execute(back.values(change | {"holder": None}), placed)
            ended = [item.id for item in ordered if item.id is not None and _place(item) in done]
            if ended:
                connection.execute(delete(waiting).where(waiting.c.id.in_(ended)))

    def take(self, demand: Demand, holder: str, backoff_steps: int, seconds: float) -> Taken | None:
        """Take items of hosts that are free, or held by this holder already, and hold those hosts.

        They stay stored until they are removed: whoever holds the host later finds them again. A host that
        backed off more than ``backoff_steps`` times is given up, and its items can be told so at once. Unless
        a job is named, none are taken of jobs that one process runs for itself. Returns None if nothing waits
        that can be taken.
        """
        with self._database.read() as connection:
            found = list(free_hosts(connection, demand, holder, backoff_steps, seconds))
        wanted = _wanted(found, demand)
        if not wanted:
            return None
        items: list[WaitingItem] = []
        with self._database.write() as connection:
            claims = claim(connection, wanted, holder, seconds)
            for host in (name for name in wanted if claims.states[name].holder == holder):
                limit = min(wanted[host], demand.room - len(items))
                items += _take(connection, host, holder, limit, demand) if limit else []
        return Taken(items, claims)

    def remove(self, ids: Collection[int], holder: str) -> None:
        """Remove items that are done with, unless they have come again meanwhile."""
        ours = waiting.c.id.in_(sorted(ids)) & (waiting.c.holder == holder)
        with self._database.write() as connection:
            connection.execute(delete(waiting).where(ours))

    def release(self, ids: Collection[int], holder: str) -> None:
        """Hand items back untouched, for whoever takes their host next."""
        ours = waiting.c.id.in_(sorted(ids)) & (waiting.c.holder == holder)
        with self._database.write() as connection:
            connection.execute(update(waiting).where(ours).values(holder=None))


def _wanted(hosts: Sequence[str], demand: Demand) -> dict[str, int]:
    """Return how many items to take of which of these hosts: of no more new ones than there is room for."""
    wanted = {host: demand.of_hosts[host] for host in hosts if demand.of_hosts.get(host)}
    new = [host for host in hosts if host not in demand.of_hosts]
    enough = demand.room // max(1, demand.first) + 1
    return wanted | (dict.fromkeys(new[:enough], demand.first) if demand.first else {})


def _placing(connection: Connection) -> Any:
    """Return an INSERT that leaves an item in its place, unless this is a later attempt at it."""
    fresh = ("host", "ref", "attempt", "url", "hops", "holder")
    return upsert_where(
        connection, waiting, ("job_id", "index"), fresh, lambda new: new.attempt > waiting.c.attempt
    )


def _take(connection: Connection, host: str, holder: str, limit: int, demand: Demand) -> list[WaitingItem]:
    # Nobody else holds the host: whoever else's mark stands there has gone.
    query = select(waiting, _HAS_RESULT).where(
        waiting.c.host == host, waiting.c.id.not_in(sorted(demand.in_hand)), _are_for(demand.job_id)
    )
    rows = connection.execute(query.order_by(waiting.c.id).limit(limit)).mappings().all()
    open_, done = ([row for row in rows if bool(row["done"]) is wanted] for wanted in (False, True))
    if open_:
        mine = update(waiting).where(waiting.c.id.in_([row["id"] for row in open_]))
        lost = case((waiting.c.holder.is_(None), 0), else_=1)
        connection.execute(mine.values(holder=holder, earlier=waiting.c.earlier + lost))
    if done:
        connection.execute(delete(waiting).where(waiting.c.id.in_([row["id"] for row in done])))
    if not rows:
        _unmark(connection, host)
    return [_from_row(row) for row in open_]


_HAS_RESULT = (
    exists()
    .where(results.c.job_id == waiting.c.job_id, results.c.index == waiting.c.index)
    .correlate(waiting)
    .label("done")
)


def _are_for(job_id: int | None) -> ColumnElement[bool]:
    """Return the condition for the items that may be taken: of one job, or of those that workers share."""
    if job_id is not None:
        return waiting.c.job_id == job_id
    return waiting.c.job_id.not_in(_LOCAL_IDS)


def _place(item: WaitingItem) -> tuple[int, int]:
    return item.message.job_id, item.message.index


def _with_result(connection: Connection, items: Sequence[WaitingItem]) -> set[tuple[int, int]]:
    """Return the places of those of these items that have a result."""
    found: set[tuple[int, int]] = set()
    for job_id in {item.message.job_id for item in items}:
        indexes = [index for job, index in map(_place, items) if job == job_id]
        query = select(results.c.index).where(results.c.job_id == job_id, results.c.index.in_(indexes))
        found |= {(job_id, index) for index in connection.execute(query).scalars()}
    return found


def _mark(connection: Connection, names: Sequence[str]) -> None:
    """Say that items wait for these hosts: after they do, so that whoever unmarks the host sees them."""
    connection.execute(insert_new(connection, hosts, "host"), [{"host": name} for name in names])
    mark = update(hosts).where(hosts.c.host == bindparam("name")).values(has_waiting=True)
    connection.execute(mark, [{"name": name} for name in names])


def _unmark(connection: Connection, host: str) -> None:
    is_empty = ~exists().where(waiting.c.host == host)
    connection.execute(update(hosts).where(hosts.c.host == host, is_empty).values(has_waiting=False))


def _values(item: WaitingItem) -> dict[str, Any]:
    message = item.message
    return {
        "host": item.host,
        "job_id": message.job_id,
        "index": message.index,
        "ref": message.ref,
        "attempt": message.attempt,
        "url": item.url,
        "hops": item.hops,
        "holder": None,
        "earlier": 0,
    }


def _moved(item: WaitingItem) -> dict[str, Any]:
    values = _values(item)
    return {"row": item.id, **{f"new_{name}": values[name] for name in _MOVING}}


def _from_row(row: RowMapping) -> WaitingItem:
    message = Message(row["job_id"], row["index"], row["ref"], row["attempt"])
    redeliveries = row["earlier"] + (row["holder"] is not None)
    return WaitingItem(message, row["host"], row["url"], row["hops"], row["id"], redeliveries)
