"""Who is let in: with keys on any address, without them on this machine."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient

from results_api.access import Access, KeysRequired
from results_api.api_keys import digest_of, ending_of, make_key
from results_api.service.app import make_app
from results_api.service.dependencies import (
    RequireAdmin,
    RequireClassify,
    RequireRead,
    RequireSubmit,
    ServicesDep,
)
from shared.errors import Code, ResourceError
from shared.items import now
from shared.store.database import Database
from shared.store.keys import ApiKeys
from shared.store.store import ApiKey, Grant, Store
from tests.contract.api import services_on

_GRANT = Grant("phone", ("classify", "read"), rate=100, burst=100)
_OTHER = "http://evil.example.com"

routes = APIRouter()


@routes.get("/read")
async def read(caller: RequireRead) -> int | None:
    return caller.key_id


@routes.get("/administer")
async def administer(caller: RequireAdmin) -> int | None:
    return caller.key_id


@routes.post("/classify")
async def classify(caller: RequireClassify, services: ServicesDep, images: int) -> int | None:
    await services.access.charge(caller, images)
    return caller.key_id


@routes.post("/submit")
async def submit(caller: RequireSubmit, services: ServicesDep) -> int | None:
    await services.access.check_open_jobs(caller)
    return caller.key_id


class _Clock:
    """Stands still until it is moved, in seconds."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@contextmanager
def _client(
    store: Store, access: Access, host: str = "localhost:8000", names: Collection[str] = ()
) -> Iterator[TestClient]:
    services = services_on(store, cors_origins=("https://app.example.com",), host_names=frozenset(names))
    app = make_app(replace(services, access=access))
    app.include_router(routes)
    with TestClient(app, f"http://{host}", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def guarded(store: Store, clock: _Clock) -> Iterator[TestClient]:
    """A client of a service that always wants keys."""
    with _client(store, Access(store, KeysRequired.ALWAYS, clock), "api.example.com") as client:
        yield client


@pytest.fixture
def local(store: Store, clock: _Clock) -> Iterator[TestClient]:
    """A client of a service that answers this machine alone."""
    with _client(store, Access(store, KeysRequired.IF_ANY, clock)) as client:
        yield client


def _shown(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _add(store: Store, grant: Grant = _GRANT) -> tuple[int, dict[str, str]]:
    """Make a key; return its number, and the headers of who shows it."""
    key = make_key()
    return store.keys.add(digest_of(key), ending_of(key), grant).id, _shown(key)


_KEY = make_key()  # another one each time: it must not be part of a test's name
_NO_KEYS = {
    "none": None,
    "empty": "",
    "bare": "Bearer",
    "blank": "Bearer ",
    "basic": "Basic dXNl",
    "raw": _KEY,
}
_WRONG_KEYS = {"unknown": _KEY, "cut": _KEY[:-1], "short": "secret", "words": "a b", "foreign": "\xe9"}


@pytest.mark.parametrize("header", _NO_KEYS.values(), ids=_NO_KEYS)
def test_without_a_key_nobody_is_let_in(guarded: TestClient, header: str | None) -> None:
    answer = guarded.get("/read", headers={} if header is None else {"Authorization": header})
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "key_missing")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("key", _WRONG_KEYS.values(), ids=_WRONG_KEYS)
def test_a_key_that_is_none_is_refused_and_not_repeated(guarded: TestClient, key: str) -> None:
    answer = guarded.get("/read", headers={"Authorization": f"Bearer {key}".encode("latin-1")})
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "key_invalid")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert key not in answer.json()["error"]["message"]


@pytest.mark.both_databases
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER  "])
def test_a_key_lets_its_holder_in(guarded: TestClient, store: Store, scheme: str) -> None:
    key_id, headers = _add(store)
    key = headers["Authorization"].split()[1]
    answer = guarded.get("/read", headers={"Authorization": f"{scheme} {key}"})
    assert (answer.status_code, answer.json()) == (200, key_id)


def test_a_key_is_good_for_its_scopes_alone(guarded: TestClient, store: Store) -> None:
    _, headers = _add(store)
    for answer in (guarded.post("/submit", headers=headers), guarded.get("/administer", headers=headers)):
        assert (answer.status_code, answer.json()["error"]["type"]) == (403, "scope_missing")
    _, headers = _add(store, replace(_GRANT, scopes=("admin", "of another version")))
    for path in ("/read", "/administer"):
        assert guarded.get(path, headers=headers).status_code == 200


def test_who_asks_too_often_is_told_when_to_come_again(guarded: TestClient, store: Store) -> None:
    _, headers = _add(store, replace(_GRANT, rate=0.01, burst=2))
    assert [guarded.get("/read", headers=headers).status_code for _ in range(2)] == [200, 200]
    answer = guarded.get("/read", headers=headers)
    assert (answer.status_code, answer.json()["error"]["type"]) == (429, "too_many_requests")
    assert 0 < int(answer.headers["Retry-After"]) <= 100
    _, others = _add(store)
    assert guarded.get("/read", headers=others).status_code == 200


def test_what_is_refused_for_its_scope_counts_too(guarded: TestClient, store: Store) -> None:
    _, headers = _add(store, replace(_GRANT, rate=0.01, burst=1))
    answers = [guarded.get("/administer", headers=headers).status_code for _ in range(2)]
    assert answers == [403, 429]


@pytest.mark.both_databases
def test_a_revoked_key_stops_working_at_once(guarded: TestClient, store: Store) -> None:
    key_id, headers = _add(store)
    assert guarded.get("/read", headers=headers).status_code == 200
    store.keys.revoke(key_id)  # nor does the clock move: what is known of the key is as fresh as can be
    answer = guarded.get("/read", headers=headers)
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "key_invalid")


def test_an_expired_key_is_refused(guarded: TestClient, store: Store) -> None:
    _, headers = _add(store, replace(_GRANT, expires_at=now() - timedelta(seconds=1)))
    assert guarded.get("/read", headers=headers).status_code == 401


def test_a_key_is_looked_up_no_more_than_once_a_second(database: Database, clock: _Clock) -> None:
    class Counting(ApiKeys):
        lookups = 0

        def find(self, digest: bytes) -> ApiKey | None:
            self.lookups += 1
            return super().find(digest)

    store = Store(database)
    store.keys = counting = Counting(database)
    _, headers = _add(store)
    with _client(store, Access(store, KeysRequired.ALWAYS, clock)) as client:
        for _ in range(3):
            assert client.get("/read", headers=headers).status_code == 200
        assert counting.lookups == 1
        clock.time += 1
        assert client.get("/read", headers=headers).status_code == 200
        assert counting.lookups == 2


@pytest.mark.both_databases
def test_a_quota_of_images_lasts_until_midnight(guarded: TestClient, store: Store) -> None:
    _, headers = _add(store, replace(_GRANT, images_per_day=10))
    assert guarded.post("/classify?images=10", headers=headers).status_code == 200
    answer = guarded.post("/classify?images=1", headers=headers)
    assert (answer.status_code, answer.json()["error"]["type"]) == (429, "quota_exceeded")
    assert 0 < int(answer.headers["Retry-After"]) <= 86_400
    _, others = _add(store, replace(_GRANT, images_per_day=None))
    assert guarded.post("/classify?images=1000000", headers=others).status_code == 200


@pytest.mark.both_databases
def test_no_more_jobs_are_opened_than_a_key_may(guarded: TestClient, store: Store) -> None:
    grant = replace(_GRANT, scopes=("submit",))
    _, none = _add(store, replace(grant, open_jobs=0))
    answer = guarded.post("/submit", headers=none)
    assert (answer.status_code, answer.json()["error"]["type"]) == (429, "quota_exceeded")
    assert int(answer.headers["Retry-After"]) > 0
    for allowed in (1, None):
        _, headers = _add(store, replace(grant, open_jobs=allowed))
        assert guarded.post("/submit", headers=headers).status_code == 200


def test_without_keys_this_machine_is_let_in(local: TestClient) -> None:
    assert local.get("/read").json() is None
    assert local.get("/administer", headers={"Origin": "http://localhost:8000"}).status_code == 200
    assert local.post("/submit", headers={"Origin": "https://app.example.com"}).status_code == 200
    assert local.post("/classify?images=1000000").status_code == 200


@pytest.mark.parametrize("headers", [{"Origin": _OTHER}, {"Origin": "null"}, {"Host": "evil.example.com"}])
def test_without_keys_a_page_from_elsewhere_is_not(local: TestClient, headers: dict[str, str]) -> None:
    answer = local.post("/submit", headers=headers)
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "origin_refused")


def test_from_the_first_key_on_this_machine_needs_one_too(
    local: TestClient, store: Store, clock: _Clock
) -> None:
    assert local.get("/read").status_code == 200
    key_id, headers = _add(store)
    clock.time += 1
    assert local.get("/read").status_code == 401
    assert local.get("/read", headers=headers).json() == key_id
    # The key is the proof: where the page comes from that shows it does not matter.
    assert local.get("/read", headers=headers | {"Origin": _OTHER}).status_code == 200


def test_who_wants_no_keys_lets_everybody_in(store: Store) -> None:
    _add(store)
    with _client(store, Access(store, KeysRequired.NEVER), "api.example.com") as client:
        assert client.get("/read").json() is None


@pytest.mark.both_databases
def test_nobody_is_let_in_while_the_store_is_away(database: Database) -> None:
    class Away(ApiKeys):
        def exist(self) -> bool:
            raise ResourceError(Code.DATABASE_UNAVAILABLE, "host=db.internal")

    store = Store(database)
    store.keys = Away(database)
    with _client(store, Access(store, KeysRequired.IF_ANY)) as client:
        answer = client.get("/read")
    assert answer.status_code == 503
    assert "db.internal" not in answer.text


def test_where_nobody_is_asked_for_a_key_pages_from_elsewhere_are_refused(store: Store) -> None:
    with _client(store, Access(store, KeysRequired.NEVER), "api.example.com:8000") as client:
        for origin, status in (
            (None, 200),
            ("http://api.example.com:8000", 200),
            ("https://app.example.com", 200),
            (_OTHER, 403),
            ("null", 403),
        ):
            headers = {} if origin is None else {"Origin": origin}
            assert client.post("/classify?images=1", headers=headers).status_code == status, origin


def test_where_nobody_is_asked_for_a_key_only_our_names_are_answered_if_they_are_told(store: Store) -> None:
    with _client(store, Access(store, KeysRequired.NEVER), names=["localhost", "127.0.0.1"]) as client:
        for host, status in (("localhost:8000", 200), ("127.0.0.1", 200), ("rebound.example.com:8000", 403)):
            origin = f"http://{host}"
            assert client.get("/read", headers={"Host": host, "Origin": origin}).status_code == status, host
