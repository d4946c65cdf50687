"""Hosts: who may call each of them now, how gently, and what people decided of it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, exists, func, or_, select, update

from shared.hosts import HostState
from shared.store.database import Database
from shared.store.schema_hosts import hosts, robots, waiting
from shared.store.statements import clock, insert_new, time_now, upsert

#: What a holder learns of a host, and writes back.
_LEARNED = ("delay", "next_at", "closed_until", "code", "failures", "trips")


@dataclass(frozen=True, slots=True)
class Claims:
    """The answer to a claim: the time by the database's clock, and how each host stands.

    Those whose ``holder`` is another one are not ours.
    """

    now: float
    states: dict[str, HostState]


@dataclass(frozen=True, slots=True)
class ListedHost:
    """A host as people see it: how it stands, and how many items wait for it."""

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
        """Return the next hosts that are known, by name."""
        count = select(func.count()).where(waiting.c.host == hosts.c.host).scalar_subquery()
        query = select(hosts, count.label("waiting")).where(hosts.c.host > after)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(hosts.c.host).limit(limit)).mappings()
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
            young = robots.c.fetched_at > clock(connection) - age
            query = select(robots.c.body).where(robots.c.origin == origin, young)
            return connection.execute(query).scalar_one_or_none()

    def save_robots(self, origin: str, body: str) -> None:
        """Store the robots.txt of an origin, as it is now."""
        with self._database.write() as connection:
            now = time_now(connection)
            values = {"origin": origin, "body": body, "fetched_at": now}
            connection.execute(upsert(connection, robots, "origin", ("body", "fetched_at")), values)


def claim(connection: Connection, names: Collection[str], holder: str, seconds: float) -> Claims:
    """See ``Hosts.claim_hosts``."""
    ordered = sorted(names)
    connection.execute(insert_new(connection, hosts, "host"), [{"host": name} for name in ordered])
    now = time_now(connection)
    free = or_(hosts.c.holder.is_(None), hosts.c.holder == holder, hosts.c.held_until < now)
    change = update(hosts).where(hosts.c.host == bindparam("name"), free)
    # One by one in the order of names: two claims of the same hosts must not wait for each other.
    connection.execute(
        change.values(holder=holder, held_until=now + seconds), [{"name": name} for name in ordered]
    )
    rows = connection.execute(select(hosts).where(hosts.c.host.in_(ordered))).mappings()
    return Claims(now, {row["host"]: _state(row) for row in rows})


def free_hosts(
    connection: Connection, holder: str, backoff_steps: int, horizon: float, limit: int, job_id: int | None
) -> Iterable[str]:
    """Return hosts for which items wait, and which this holder could serve now, longest due first.

    Hosts that backed off more than ``backoff_steps`` times are given up, and blocked ones are not called:
    what waits for them can be told so at once.
    """
    now = clock(connection)
    unheld = or_(hosts.c.holder.is_(None), hosts.c.holder == holder, hosts.c.held_until < now)
    open_ = or_(hosts.c.closed_until <= now + horizon, hosts.c.trips > backoff_steps, hosts.c.blocked)
    query = select(hosts.c.host).where(hosts.c.has_waiting, unheld, open_, hosts.c.next_at <= now + horizon)
    if job_id is not None:
        query = query.where(exists().where(waiting.c.host == hosts.c.host, waiting.c.job_id == job_id))
    return connection.execute(query.order_by(hosts.c.next_at).limit(limit)).scalars()


def _learned(state: HostState) -> dict[str, Any]:
    values = asdict(state)
    learned = {f"new_{name}": values[name] for name in _LEARNED}
    return learned | {"name": state.host, "known": state.generation}


def _state(row: RowMapping) -> HostState:
    return HostState(**{name: row[name] for name in HostState.__dataclass_fields__})
