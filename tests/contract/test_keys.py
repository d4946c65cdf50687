"""What every store must do about keys: whose they are, how often they may ask, and for how much."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from shared.errors import Code, ResourceError, UsageError
from shared.items import JobState, now
from shared.store.database import Database
from shared.store.schema import jobs
from shared.store.schema_api import api_keys, key_usage
from shared.store.store import ApiKey, Grant, Job, Store

_DIGEST = bytes(range(32))
#: So slow that in a test no second turn comes.
_GRANT = Grant("phone", ("classify", "read"), rate=0.001, burst=20)
#: Replicas of the service in a test, and requests that each gets at once.
_REPLICAS, _EACH = 4, 10


@pytest.fixture
def key(store: Store) -> ApiKey:
    return store.keys.add(_DIGEST, "abcd", _GRANT)


@pytest.fixture
def replicas(url: str, store: Store) -> Iterator[list[Store]]:
    """Other processes' ways to the same database."""
    databases = [Database(url) for _ in range(_REPLICAS)]
    yield [Store(database) for database in databases]
    for database in databases:
        database.close()


def _at_once(replicas: list[Store], ask: Callable[[Store], object]) -> list[object]:
    """Return the answers to many requests, which all replicas get at the same time."""
    with ThreadPoolExecutor(_REPLICAS * 2) as threads:
        return list(threads.map(ask, replicas * _EACH))


def _put_turn(database: Database, seconds: float, store: Store) -> None:
    """Set when the next request of the key is due, from now."""
    with database.write() as connection:
        connection.execute(update(api_keys).values(due_at=store.hosts.now() + seconds))


def test_a_key_is_found_by_its_digest_alone(store: Store) -> None:
    expires_at = now() + timedelta(days=1)
    grant = Grant("phone", ("classify",), 2.5, 7, images_per_day=10**10, open_jobs=3, expires_at=expires_at)
    added = store.keys.add(_DIGEST, "abcd", grant)
    assert (added.grant, added.ending) == (grant, "abcd")
    assert (added.last_used_at, added.revoked_at) == (None, None)
    assert store.keys.find(_DIGEST) == added
    assert store.keys.find(_DIGEST[::-1]) is None


def test_keys_are_listed_oldest_first_whether_good_or_not(store: Store, key: ApiKey) -> None:
    second = store.keys.add(bytes(32), "wxyz", replace(_GRANT, name="other"))
    store.keys.revoke(key.id)
    assert [(one.id, one.grant.name) for one in store.keys.all()] == [(key.id, "phone"), (second.id, "other")]


def test_the_same_key_is_not_stored_twice(store: Store, key: ApiKey) -> None:
    with pytest.raises(ResourceError) as caught:
        store.keys.add(_DIGEST, "abcd", _GRANT)
    assert caught.value.code is Code.DATABASE_REFUSED
    assert store.keys.all() == [key]


def test_where_a_key_was_made_keys_are_wanted_for_good(store: Store) -> None:
    assert not store.keys.exist()
    key = store.keys.add(_DIGEST, "abcd", replace(_GRANT, expires_at=now() + timedelta(hours=1)))
    assert store.keys.exist()
    store.keys.revoke(key.id)
    assert store.keys.exist()


def test_a_revoked_key_cannot_be_used_and_stays_revoked(store: Store, key: ApiKey) -> None:
    assert store.keys.use(key.id) == 0
    store.keys.revoke(key.id)
    assert store.keys.use(key.id) is None
    (revoked,) = store.keys.all()
    assert not revoked.is_good(now())
    store.keys.revoke(key.id)
    assert store.keys.all() == [revoked]


def test_an_expired_key_cannot_be_used(store: Store) -> None:
    expires_at = now() - timedelta(seconds=1)
    key = store.keys.add(_DIGEST, "abcd", replace(_GRANT, expires_at=expires_at))
    assert store.keys.use(key.id) is None
    assert not key.is_good(now())
    assert key.is_good(expires_at - timedelta(seconds=1))


def test_an_unknown_key_is_told(store: Store) -> None:
    assert store.keys.use(7) is None
    with pytest.raises(UsageError) as caught:
        store.keys.revoke(7)
    assert caught.value.code is Code.KEY_UNKNOWN


def test_use_is_noted(store: Store, key: ApiKey) -> None:
    before = now()
    store.keys.use(key.id)
    (used,) = store.keys.all()
    assert used.last_used_at is not None
    assert before <= used.last_used_at <= now()


def test_a_burst_may_pass_and_then_one_request_after_the_other(store: Store, database: Database) -> None:
    key = store.keys.add(_DIGEST, "abcd", replace(_GRANT, rate=0.01, burst=3))
    assert [store.keys.use(key.id) for _ in range(3)] == [0, 0, 0]
    wait = store.keys.use(key.id)
    assert wait is not None
    assert 0 < wait <= 100
    _put_turn(database, 200 - 0.001, store)  # as it would be after that wait
    assert store.keys.use(key.id) == 0
    assert store.keys.use(key.id) != 0


def test_what_has_to_wait_is_not_counted(store: Store, database: Database) -> None:
    key = store.keys.add(_DIGEST, "abcd", replace(_GRANT, burst=1))
    assert store.keys.use(key.id) == 0
    waits = [store.keys.use(key.id) for _ in range(5)]
    assert all(wait is not None and 0 < wait <= 1000 for wait in waits)


def test_a_long_pause_saves_up_no_more_than_a_burst(store: Store, key: ApiKey, database: Database) -> None:
    _put_turn(database, -(10**6), store)
    used = [store.keys.use(key.id) for _ in range(_GRANT.burst + 1)]
    assert used.count(0) == _GRANT.burst


def test_all_replicas_share_one_rate(replicas: list[Store], key: ApiKey) -> None:
    waits = _at_once(replicas, lambda store: store.keys.use(key.id))
    assert waits.count(0) == _GRANT.burst
    assert len(waits) == _REPLICAS * _EACH


def test_images_are_charged_as_far_as_the_quota_goes(store: Store, key: ApiKey, database: Database) -> None:
    assert store.keys.charge_images(key.id, 6, 10)
    assert not store.keys.charge_images(key.id, 5, 10)
    assert store.keys.charge_images(key.id, 4, 10)
    assert not store.keys.charge_images(key.id, 1, 10)
    assert store.keys.charge_images(key.id, 0, 10)
    assert store.keys.charge_images(key.id + 1, 10, 10)
    with database.read() as connection:
        query = select(key_usage.c.images).where(key_usage.c.key_id == key.id)
        assert connection.execute(query).scalars().all() == [10]


def test_more_than_a_quota_is_never_charged(store: Store, key: ApiKey) -> None:
    assert not store.keys.charge_images(key.id, 11, 10)
    assert store.keys.charge_images(key.id, 10, 10)


def test_without_a_quota_everything_is_counted(store: Store, key: ApiKey) -> None:
    assert store.keys.charge_images(key.id, 10**10, None)
    assert store.keys.charge_images(key.id, 10**10, None)
    assert not store.keys.charge_images(key.id, 1, 10**10)


def test_every_day_begins_anew(store: Store, key: ApiKey, database: Database) -> None:
    assert store.keys.charge_images(key.id, 10, 10)
    with database.write() as connection:
        connection.execute(update(key_usage).values(day=key_usage.c.day - 1))
    assert store.keys.charge_images(key.id, 10, 10)


def test_all_replicas_share_one_quota(replicas: list[Store], key: ApiKey) -> None:
    charged = _at_once(replicas, lambda store: store.keys.charge_images(key.id, 3, 35))
    assert charged.count(True) == 11
    assert replicas[0].keys.charge_images(key.id, 2, 35)


def test_jobs_are_open_until_they_are_over(store: Store, key: ApiKey, job: Job, database: Database) -> None:
    assert store.keys.open_jobs(key.id) == 0
    counted = {}
    for state in JobState:
        with database.write() as connection:
            connection.execute(update(jobs).values(key_id=key.id, state=state))
        counted[state] = store.keys.open_jobs(key.id)
        assert store.keys.open_jobs(key.id + 1) == 0
    over = (JobState.COMPLETED, JobState.CANCELLED, JobState.FAILED, JobState.DELETING)
    assert counted == {state: int(state not in over) for state in JobState}


def test_a_clock_that_was_a_day_ahead_locks_no_key_out(store: Store, database: Database) -> None:
    key = store.keys.add(_DIGEST, "abcd", replace(_GRANT, rate=0.1, burst=3))
    _put_turn(database, 86_400, store)
    assert store.keys.use(key.id) == 0
    wait = store.keys.use(key.id)
    assert wait is not None
    assert 9 < wait <= 10
    _put_turn(database, 29.5, store)  # a burst that has just been used up
    assert store.keys.use(key.id) == pytest.approx(9.5, abs=1)


def test_what_was_charged_to_a_day_to_come_is_not_missing_then(
    store: Store, key: ApiKey, database: Database
) -> None:
    assert store.keys.charge_images(key.id, 10, 10)
    with database.write() as connection:
        connection.execute(update(key_usage).values(day=key_usage.c.day + 1))
    assert store.keys.charge_images(key.id, 1, 10)
    with database.write() as connection:
        assert connection.execute(select(key_usage.c.images)).scalars().all() == [1]


def test_what_was_charged_can_be_taken_back(store: Store, key: ApiKey) -> None:
    assert store.keys.charge_images(key.id, 10, 10)
    store.keys.refund_images(key.id, 4)
    assert not store.keys.charge_images(key.id, 5, 10)
    assert store.keys.charge_images(key.id, 4, 10)
    store.keys.refund_images(key.id, 11)  # of another day
    assert not store.keys.charge_images(key.id, 1, 10)
