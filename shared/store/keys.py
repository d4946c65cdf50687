"""API keys, their rates and quotas; all replicas of the API count together."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from shared.errors import Code, UsageError
from shared.items import JobState, now
from shared.store.database import Database
from shared.store.schema import jobs
from shared.store.schema_api import api_keys, key_usage
from shared.store.statements import clock, insert_or_add, time_now
from shared.store.summaries import in_utc

_DAY = 86_400
#: States in which a job counts as open.
_OPEN = tuple(state for state in JobState if not state.is_over and state is not JobState.DELETING)
#: Least waiting time of a request that came too early, in seconds.
_SHORTEST_WAIT = 0.001


@dataclass(frozen=True, slots=True)
class Grant:
    """What a key allows: ``rate`` is in requests per second, ``burst`` is how many may come at once.

    None means no limit; the key expires at ``expires_at``.
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
    """A stored key, without its secret; ``ending`` is its last characters."""

    id: int
    ending: str
    grant: Grant
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_good(self, time: datetime) -> bool:
        """Tell whether the key is neither revoked nor expired."""
        expires_at = self.grant.expires_at
        return self.revoked_at is None and (expires_at is None or expires_at > time)


class ApiKeys:
    """The statements on keys and their usage."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, digest: bytes, ending: str, grant: Grant) -> ApiKey:
        """Store a new key by its SHA-256."""
        values = asdict(grant) | {"digest": digest, "ending": ending, "created_at": now()}
        statement = insert(api_keys).values(values | {"scopes": list(grant.scopes)})
        with self._database.write() as connection:
            return _key(connection.execute(statement.returning(*_KEY)).mappings().one())

    def all(self) -> list[ApiKey]:
        """Return all keys, including revoked and expired ones, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(select(*_KEY).order_by(api_keys.c.id)).mappings()
            return [_key(row) for row in rows]

    def find(self, digest: bytes) -> ApiKey | None:
        """Return the key with this SHA-256, even if revoked or expired."""
        with self._database.read() as connection:
            query = select(*_KEY).where(api_keys.c.digest == digest)
            row = connection.execute(query).mappings().one_or_none()
            return None if row is None else _key(row)

    def exist(self) -> bool:
        """Tell whether a key was ever created: revoking the last one must not open the API."""
        with self._database.read() as connection:
            return bool(connection.execute(select(exists(select(api_keys.c.id)))).scalar_one())

    def revoke(self, key_id: int) -> None:
        """Revoke a key, or raise ``UsageError(key_unknown)``."""
        revoked_at = func.coalesce(api_keys.c.revoked_at, now())
        change = update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=revoked_at)
        with self._database.write() as connection:
            if connection.execute(change).rowcount == 0:
                raise UsageError(Code.KEY_UNKNOWN, f"key {key_id}")

    def use(self, key_id: int) -> float | None:
        """Count a request of a key; return 0 if it may proceed, else how many seconds it has to wait.

        Returns None if the key is revoked or expired. A request that has to wait is not counted.
        This is the generic cell rate algorithm (ITU-T I.371) as a virtual schedule: ``due_at`` is
        when the next request would come at a steady rate; a key may be ahead of it by at most a burst. What
        is further away was stored by a clock that was ahead, and means a burst that is just used up.
        """
        good = (api_keys.c.id == key_id) & _is_good()
        with self._database.write() as connection:
            time, due_at = clock(connection), api_keys.c.due_at
            is_too_far = due_at > time + _BURST + _SET_BACK
            change = update(api_keys).where(good, (due_at <= time + _AHEAD) | is_too_far)
            start = case((is_too_far, time + _AHEAD), (due_at > time, due_at), else_=time)
            change = change.values(due_at=start + 1.0 / api_keys.c.rate, last_used_at=now())
            if connection.execute(change).rowcount:
                return 0.0
            query = select(due_at - _AHEAD).where(good)
            turn = connection.execute(query).scalar_one_or_none()
            return None if turn is None else max(turn - time_now(connection), _SHORTEST_WAIT)

    def charge_images(self, key_id: int, count: int, limit: int | None) -> bool:
        """Count images against a key's quota of today (UTC); tell whether they fit: all of them, or none."""
        with self._database.write() as connection:
            return charge(connection, key_id, count, limit)

    def refund_images(self, key_id: int, count: int) -> None:
        """Take back a charge of today."""
        with self._database.write() as connection:
            today = (key_usage.c.key_id == key_id) & (key_usage.c.day == _today(connection))
            change = update(key_usage).where(today, key_usage.c.images >= count)
            connection.execute(change.values(images=key_usage.c.images - count))

    def open_jobs(self, key_id: int) -> int:
        """Return how many jobs of a key are not over."""
        query = select(func.count()).where(jobs.c.key_id == key_id, jobs.c.state.in_(_OPEN))
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())


def charge(connection: Connection, key_id: int, count: int, limit: int | None) -> bool:
    """Count images against a key's quota of today, within a transaction; tell whether they fit."""
    if limit is not None and count > limit:
        return False
    today = _today(connection)
    # What a clock that was ahead has charged to days to come must not be missing then.
    to_come = delete(key_usage).where(key_usage.c.key_id == key_id, key_usage.c.day > today)
    connection.execute(to_come)
    values = {"key_id": key_id, "day": today, "images": count}
    statement = insert_or_add(connection, key_usage, ("key_id", "day"), "images", limit)
    added = connection.execute(statement.returning(key_usage.c.images), values)
    return added.scalar_one_or_none() is not None


#: How many seconds a key may be ahead of its steady rate, and is after the last request of a burst.
_AHEAD = (api_keys.c.burst - 1) / api_keys.c.rate
_BURST = api_keys.c.burst / api_keys.c.rate
#: Clocks are set back by fractions of a second all the time.
_SET_BACK = 1.0
#: All columns except the digest.
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
