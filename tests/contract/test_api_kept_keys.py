"""A key that is given to a page once: its browser keeps it, and nobody else can use it."""

import re

import pytest
from fastapi.testclient import TestClient

from results_api.access import KeysRequired
from results_api.api_keys import digest_of, ending_of, make_key
from results_api.service.services import Services
from shared.store.store import Grant, Store
from tests.contract.api import Surroundings, client_on, services_on

_HERE = {"Origin": "http://localhost:8000"}
_GRANT = Grant("desk", ("classify", "read"), rate=100, burst=100)
_ELSEWHERE = {"Origin": "http://evil.example.com"}


@pytest.fixture
def services(store: Store, around: Surroundings) -> Services:
    around.wanted = KeysRequired.ALWAYS
    return services_on(store, around)


@pytest.fixture
def key(store: Store) -> str:
    key = make_key()
    store.keys.add(digest_of(key), ending_of(key), _GRANT)
    return key


@pytest.fixture
def keeper(api: TestClient, key: str) -> TestClient:
    """A browser that keeps the key."""
    kept = api.post("/key", data={"key": f" {key}\n"}, headers=_HERE, follow_redirects=False)
    assert kept.status_code == 303
    return api


def test_a_page_of_ours_is_let_in_with_the_kept_key(keeper: TestClient) -> None:
    assert keeper.get("/v1/jobs").status_code == 200
    assert keeper.post("/v1/jobs", json={}, headers=_HERE).json()["error"]["type"] == "scope_missing"


def test_a_page_of_others_is_not(keeper: TestClient) -> None:
    answer = keeper.post("/v1/classify", headers=_ELSEWHERE)
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "origin_refused")


def test_a_key_in_the_header_beats_the_kept_one(keeper: TestClient) -> None:
    answer = keeper.get("/v1/jobs", headers={"Authorization": f"Bearer {make_key()}"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "key_invalid")


@pytest.mark.parametrize(
    ("origin", "secure"), [("http://localhost:8000", False), ("https://localhost:8000", True)]
)
def test_no_script_reads_it_and_from_other_pages_only_links_bring_it(
    origin: str, secure: bool, api: TestClient, key: str
) -> None:
    kept = api.post("/key", data={"key": key}, headers={"Origin": origin}, follow_redirects=False)
    words = kept.headers["Set-Cookie"].lower().split("; ")
    assert {"httponly", "samesite=lax", "path=/"} <= set(words)
    assert ("secure" in words) == secure
    assert key not in kept.headers["Location"]


@pytest.mark.parametrize(
    ("next", "location"),
    [
        ("/jobs/7", "./jobs/7"),
        ("/", "./"),
        ("//evil.example.com", "./key"),
        ("/\\evil.example.com", "./key"),
        ("https://evil.example.com/", "./key"),
        ("/jobs\r\nX: y", "./key"),
    ],
)
def test_it_goes_on_where_the_key_was_asked_for_and_nowhere_else(
    next: str, location: str, api: TestClient, key: str
) -> None:
    answer = api.post("/key", data={"key": key, "next": next}, headers=_HERE, follow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (303, location)


def test_the_form_remembers_where_the_key_was_asked_for(api: TestClient) -> None:
    assert 'name="next" value="/jobs/7"' in api.get("/key?next=/jobs/7").text
    assert "<b>" not in api.get("/key", params={"next": '"><b>'}).text


@pytest.mark.parametrize(
    "typed", ["nonsense", "<b>bold</b>", make_key()], ids=["nonsense", "markup", "unknown"]
)
def test_what_is_no_key_is_not_kept(typed: str, api: TestClient) -> None:
    answer = api.post("/key", data={"key": typed, "next": "/jobs/7"}, headers=_HERE)
    assert answer.status_code == 401
    assert 'name="next" value="/jobs/7"' in answer.text
    assert "Set-Cookie" not in answer.headers
    assert 'role="alert"' in answer.text
    assert typed not in answer.text


def test_no_more_is_taken_than_a_key_needs(api: TestClient) -> None:
    for form in ({"data": {"key": "x" * 1_000_000}}, {"files": {"key": b"x" * 1_000_000}}):
        assert api.post("/key", headers=_HERE, **form).status_code == 413
    for form in ({}, {"data": {"key": "x" * 201}}, {"files": {"key": b"x"}}, {"json": {"key": "x"}}):
        assert api.post("/key", headers=_HERE, **form).status_code == 422


def test_no_page_of_others_gives_or_takes_a_key(keeper: TestClient, key: str) -> None:
    for path, form in (("/key", {"key": key}), ("/key/forget", {})):
        answer = keeper.post(path, data=form, headers=_ELSEWHERE)
        assert (answer.status_code, "Set-Cookie" in answer.headers) == (403, False)


def test_the_page_tells_what_the_kept_key_is_good_for_and_forgets_it(keeper: TestClient, key: str) -> None:
    page = keeper.get("/key").text
    assert re.findall("<li>(.*)</li>", page) == ["classifying pictures", "reading jobs and results"]
    assert key not in page
    assert keeper.post("/key/forget", headers=_HERE).status_code == 200
    assert keeper.get("/v1/jobs").status_code == 401
    assert "Ask its operator for one" in keeper.get("/key").text


def test_where_nobody_is_asked_the_page_says_so(store: Store) -> None:
    with client_on(services_on(store)) as api:
        assert "requires no API key" in api.get("/key").text
