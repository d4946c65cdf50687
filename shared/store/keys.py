"""Keys of the API: who may use it, how often, and how much of it; all replicas count together."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, case, exists, func, insert, or_, select, update

from shared.errors import Code, UsageError
from shared.items import JobState, now
from shared.store.database import Database
from shared.store.schema import jobs
from shared.store.schema_api import api_keys, key_usage
from shared.store.statements import clock, insert_or_add, time_now
from shared.store.summaries import in_utc

_DAY = 86_400
#: States of jobs that count as open: those that are over, and what is being deleted, do not.
_OPEN = tuple(state for state in JobState if not state.is_over and state is not JobState.DELETING)
#: What a request that came too early waits at least, in seconds: its turn may have come meanwhile.
_SHORTEST_WAIT = 0.001


@dataclass(frozen=True, slots=True)
class Grant:
    """What a key is good for: ``rate`` is in requests a second, ``burst`` how many may come at once.

    None means no limit; after ``expires_at`` the key is good for nothing.
    """

    name: str
    scopes: tuple[str, ...]
    rate: float
    burst: int
    images_per_day: int | None = None
    open_jobs: int | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept: without what would let anybody use it. ``ending`` is its last characters."""

    id: int
    ending: str
    grant: Grant
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_good(self, time: datetime) -> bool:
        """Tell whether it is neither revoked nor expired."""
        expires_at = self.grant.expires_at
        return self.revoked_at is None and (expires_at is None or expires_at > time)


class ApiKeys:
    """The statements on keys, and on what they have used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, digest: bytes, ending: str, grant: Grant) -> ApiKey:
        """Store a new key by its SHA-256."""
        values = asdict(grant) | {"digest": digest, "ending": ending, "created_at": now()}
        statement = insert(api_keys).values(values | {"scopes": list(grant.scopes)})
        with self._database.write() as connection:
            return _key(connection.execute(statement.returning(*_KEY)).mappings().one())

    def all(self) -> list[ApiKey]:
        """Return all keys, those too that are good for nothing any more, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(select(*_KEY).order_by(api_keys.c.id)).mappings()
            return [_key(row) for row in rows]

    def find(self, digest: bytes) -> ApiKey | None:
        """Return the key with this SHA-256, good or not."""
        with self._database.read() as connection:
            query = select(*_KEY).where(api_keys.c.digest == digest)
            row = connection.execute(query).mappings().one_or_none()
            return None if row is None else _key(row)

    def exist(self) -> bool:
        """Tell whether a key was ever made: when the last one is revoked, the doors must not open."""
        with self._database.read() as connection:
            return bool(connection.execute(select(exists(select(api_keys.c.id)))).scalar_one())

    def revoke(self, key_id: int) -> None:
        """Let a key be good for nothing from now on, or raise ``UsageError(key_unknown)``."""
        revoked_at = func.coalesce(api_keys.c.revoked_at, now())
        change = update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=revoked_at)
        with self._database.write() as connection:
            if connection.execute(change).rowcount == 0:
                raise UsageError(Code.KEY_UNKNOWN, f"key {key_id}")

    def use(self, key_id: int) -> float | None:
        """Count a request of a key, and return 0 if it may go on, else how many seconds it has to wait.

        Returns None if the key is good for nothing (any more). A request that has to wait is not counted.
        This is the generic cell rate algorithm (ITU-T I.371) as a virtual schedule: ``due_at`` is
        when the next request would come at an even pace, and nobody may be further ahead of it than a burst.
        """
        good = (api_keys.c.id == key_id) & _is_good()
        with self._database.write() as connection:
            time = clock(connection)
            change = update(api_keys).where(good, api_keys.c.due_at <= time + _AHEAD)
            start = case((api_keys.c.due_at > time, api_keys.c.due_at), else_=time)
            change = change.values(due_at=start + 1.0 / api_keys.c.rate, last_used_at=now())
            if connection.execute(change).rowcount:
                return 0.0
            query = select(api_keys.c.due_at - _AHEAD).where(good)
            turn = connection.execute(query).scalar_one_or_none()
            return None if turn is None else max(turn - time_now(connection), _SHORTEST_WAIT)

    def charge_images(self, key_id: int, count: int, limit: int | None) -> bool:
        """Add to the images that a key used today (UTC); tell whether it may: all of them, or none."""
        with self._database.write() as connection:
            return charge(connection, key_id, count, limit)

    def open_jobs(self, key_id: int) -> int:
        """Return how many jobs of a key are not over."""
        query = select(func.count()).where(jobs.c.key_id == key_id, jobs.c.state.in_(_OPEN))
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())


def charge(connection: Connection, key_id: int, count: int, limit: int | None) -> bool:
    """See ``ApiKeys.charge_images``."""
    if limit is not None and count > limit:
        return False
    values = {"key_id": key_id, "day": _today(connection), "images": count}
    statement = insert_or_add(connection, key_usage, ("key_id", "day"), "images", limit)
    added = connection.execute(statement.returning(key_usage.c.images), values)
    return added.scalar_one_or_none() is not None


#: By how many seconds a key may be ahead of an even pace.
_AHEAD = (api_keys.c.burst - 1) / api_keys.c.rate
#: All columns but those that nobody needs to see.
_KEY = tuple(column for column in api_keys.c if column.name not in ("digest", "due_at"))
_TIMES = ("created_at", "last_used_at", "expires_at", "revoked_at")


def _is_good() -> ColumnElement[bool]:
    expires_at = api_keys.c.expires_at
    return api_keys.c.revoked_at.is_(None) & or_(expires_at.is_(None), expires_at > now())


def _today(connection: Connection) -> int:
    return int(time_now(connection) // _DAY)


def _key(row: RowMapping) -> ApiKey:
    values: dict[str, Any] = dict(row)
    for name in _TIMES:
        values[name] = values[name] and in_utc(values[name])
    grant = {name: values.pop(name) for name in Grant.__dataclass_fields__}
    return ApiKey(grant=Grant(**grant | {"scopes": tuple(grant["scopes"])}), **values)
