"""What requests may take: none of them stops the others, whatever it holds or makes the service do."""

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from results_api.access import KeysRequired
from results_api.api_keys import digest_of, ending_of, make_key
from results_api.capacity import Turns
from results_api.service.job_models import JobCreate
from shared.budgets import Budget
from shared.errors import Code, RequestError
from shared.fetching.fetcher import FetchRequest, FetchResponse
from shared.store.store import Grant, Store
from tests.contract.api import Pages, Surroundings, client_on, record_lists, served, services_on
from tests.servers.waiting import wait_until

_JOBS, _CLASSIFY = "/v1/jobs", "/v1/classify"
_JSON = {"Content-Type": "application/json"}
_IMAGE = "https://a.example/1.jpg"


@pytest.fixture
def jpeg(encoded: Callable[..., bytes]) -> bytes:
    return encoded(Image.new("RGB", (64, 48), "red"), "JPEG")


def _type(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["type"]


def _key(store: Store, **grant: Any) -> dict[str, str]:
    """Make a key, and return the headers of who shows it."""
    key = make_key()
    store.keys.add(
        digest_of(key), ending_of(key), Grant("x", ("submit", "read", "classify"), 1000, 1000, **grant)
    )
    return {"Authorization": f"Bearer {key}"}


def test_a_budget_is_shared_and_nobody_has_all_of_it() -> None:
    budget = Budget(10, 6)
    with budget.reserve("a", 6), budget.reserve("b", 3):
        for holder, amount in (("a", 1), ("b", 2), ("c", 2)):
            with pytest.raises(RequestError) as caught, budget.reserve(holder, amount):
                pass
            assert caught.value.code is Code.AT_CAPACITY
        with budget.reserve("c"):
            pass
    with budget.reserve("b", 6), budget.reserve("a", 4):
        pass


def test_a_long_json_body_is_the_same_as_a_list(api: TestClient, store: Store) -> None:
    urls: list[Any] = [f"https://a.example/{number}.jpg" for number in range(5000)]
    urls[1000] = {"url": urls[1000], "id": "ü"}
    urls[2000] = "no url"
    answer = api.post(_JOBS, json={"urls": urls, "name": "long", "priority": "high"})
    assert (answer.status_code, answer.json()["data"]["priority"]) == (202, "high")
    record_lists(store)
    job = api.get(answer.headers["Location"]).json()["data"]
    assert (job["name"], job["submitted"], job["malformed"]["count"]) == ("long", 4999, 1)
    items = store.items.pending(job["id"], 0, 5000)
    assert [item.ref for item in items] == [
        entry["url"] if isinstance(entry, dict) else entry for entry in urls if entry != "no url"
    ]
    assert [item.custom_id for item in items if item.custom_id] == ["ü"]


_MANY = ["https://a.example/1.jpg"] * 5000


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"urls": [*_MANY[:3210], 7, *_MANY]}, "urls.3210"),
        ({"urls": [*_MANY[:3210], {"url": "u", "x": 1}, *_MANY]}, "urls.3210"),
        ({"urls": [*_MANY, "x" * 100_000]}, "urls.5000: longer than"),
        ({"urls": [*_MANY, {"url": "x", "id": "x" * 5000}]}, "urls.5000"),
        ({"urls": ["http://a/"] * 100_001}, "urls: List should have at most 100000"),
        ({"urls": _MANY, "what": 1}, "what"),
        ({"urls": _MANY, "name": ""}, "name"),
        ({"urls": "x" * 100_000}, "longer than"),
        ([1] * 50_000, "body: longer than"),
        ({"urls": [], "name": "x" * 70_000}, "body: longer than"),
        ({"urls": _MANY, **{f"a{number}": 1 for number in range(100_000)}}, "body: longer than"),
    ],
)
def test_the_first_mistake_in_a_long_json_body_is_named(api: TestClient, body: Any, place: str) -> None:
    answer = api.post(_JOBS, content=json.dumps(body), headers=_JSON)
    assert _type(answer) == (422, "request_invalid")
    assert place in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body", [b"[" * 1_000_000, b"{" + b" " * 100_000, b"\xff" * 100_000, b"[],[]" * 50_000]
)
def test_a_long_body_that_is_no_json_is_refused(api: TestClient, body: bytes) -> None:
    answer = api.post(_JOBS, content=body, headers=_JSON)
    assert _type(answer) == (422, "request_invalid")
    assert "Invalid JSON" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        {"urls": _MANY * 10},
        {f"a{number}": 1 for number in range(100_000)},
        {"urls": ["https://a.example/1.jpg"] * 100, "name": ""},
    ],
)
def test_json_is_validated_beside_the_event_loop_a_little_at_a_time(
    api: TestClient, body: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, bool]] = []
    validate = JobCreate.model_validate_json

    def note(content: bytes) -> JobCreate:
        seen.append((len(content), _runs_an_event_loop()))
        return validate(content)

    monkeypatch.setattr(JobCreate, "model_validate_json", note)
    assert api.post(_JOBS, json=body).status_code in (202, 422)
    assert all(size < 70_000 and not in_loop for size, in_loop in seen), seen


def _runs_an_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@contextmanager
def _sent(url: str, body: bytes, length: int, head: str = "") -> Iterator[socket.socket]:
    """Send the beginning of a request whose body has so many bytes."""
    parts = urlsplit(url)
    lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", "Content-Type: application/json"]
    lines += [f"Content-Length: {length}", *([head] if head else [])]
    with socket.create_connection((parts.hostname or "", parts.port or 0), 30) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        yield connection


def _status_of(connection: socket.socket) -> int:
    return int(connection.recv(100).split()[1])


def test_bodies_are_held_within_a_budget_of_bytes(store: Store) -> None:
    services = services_on(store, upload_bytes=1_000_000, list_bytes=1_000_000, held_bytes=4_000_000)
    with served(services) as url:
        with _sent(url + _JOBS, b"x", 900_000), _sent(url + _JOBS, b"x", 900_000):
            wait_until(lambda: services.bodies._held.total() >= 1_800_000, 30, "the bodies")
            with _sent(url + _JOBS, b"x", 900_000) as third:
                answer = third.recv(1000)
                assert answer.split()[1] == b"503"
                assert b"retry-after: " in answer.lower()
        wait_until(lambda: not services.bodies._held, 30, "room")
        with _sent(url + _JOBS, b'{"urls": ["http://a/"]}', 23) as fourth:
            assert _status_of(fourth) == 202


def test_streams_of_one_key_leave_room_for_those_of_others(store: Store) -> None:
    services = replace(
        services_on(store, Surroundings(wanted=KeysRequired.ALWAYS)), streams=Budget(total=3, each=2)
    )
    mine, theirs = _key(store), _key(store)
    with client_on(services) as client:
        wheres = [
            client.post(_JOBS, json={"urls": [_IMAGE]}, headers=headers).json()["data"]["links"]["events"]
            for headers in (mine, theirs)
        ]
    with served(services) as url:
        with _followed(url + wheres[0], mine), _followed(url + wheres[0], mine):
            with _followed(url + wheres[0], mine, 503):
                pass
            with _followed(url + wheres[1], theirs):
                pass
        wait_until(lambda: not services.streams._held, 30, "the streams to end")
        with _followed(url + wheres[0], mine):
            pass


@contextmanager
def _followed(url: str, headers: dict[str, str], status: int = 200) -> Iterator[None]:
    parts = urlsplit(url)
    lines = [f"GET {parts.path} HTTP/1.1", f"Host: {parts.netloc}", *map(": ".join, headers.items()), "", ""]
    with socket.create_connection((parts.hostname or "", parts.port or 0), 30) as connection:
        connection.sendall("\r\n".join(lines).encode())
        answer = b""
        while b"event: job" not in answer and b"at_capacity" not in answer:
            answer += connection.recv(1000) or pytest.fail(answer.decode())
        assert answer.split()[1] == str(status).encode()
        yield


@pytest.fixture
def guarded() -> Surroundings:
    """What a service works with that always wants keys."""
    return Surroundings(wanted=KeysRequired.ALWAYS)


@pytest.fixture
def keyed(store: Store, guarded: Surroundings) -> Iterator[TestClient]:
    with client_on(services_on(store, guarded)) as client:
        yield client


def test_without_a_quota_left_nothing_is_fetched(
    keyed: TestClient, store: Store, guarded: Surroundings, jpeg: bytes
) -> None:
    guarded.web.put(_IMAGE, jpeg)
    headers = _key(store, images_per_day=1)
    answers = [keyed.post(_CLASSIFY, json={"url": _IMAGE}, headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 429, 429]
    assert guarded.web.asked == [_IMAGE]


class _Crowded(Pages):
    """A web during whose answers the service gets more to do than it can."""

    def __init__(self, around: Surroundings) -> None:
        super().__init__()
        self._around = around

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        self._around.capacity._admitted = self._around.capacity._limit
        return await super().fetch(request)


def test_what_ends_with_503_is_not_charged(store: Store, guarded: Surroundings, jpeg: bytes) -> None:
    guarded.web = _Crowded(guarded)
    guarded.web.put(_IMAGE, jpeg)
    headers = _key(store, images_per_day=1)
    with client_on(services_on(store, guarded)) as client:
        assert _type(client.post(_CLASSIFY, json={"url": _IMAGE}, headers=headers)) == (503, "at_capacity")
        guarded.capacity._admitted = 0
        assert client.post(_CLASSIFY, content=jpeg, headers=headers).status_code == 200
        assert _type(client.post(_CLASSIFY, content=jpeg, headers=headers)) == (429, "quota_exceeded")


def test_a_dry_run_that_is_refused_is_not_charged(keyed: TestClient, store: Store) -> None:
    headers = _key(store, images_per_day=5)
    dry = {"dry_run": "true", "sample": 5}
    assert keyed.post(_JOBS, content=b"{", headers=headers | _JSON, params=dry).status_code == 422
    assert keyed.post(_JOBS, json={"urls": [_IMAGE]}, headers=headers, params=dry).status_code == 200
    again = keyed.post(_JOBS, json={"urls": [_IMAGE]}, headers=headers, params=dry)
    assert _type(again) == (429, "quota_exceeded")


def test_work_is_done_in_turn_and_few_wait_for_it() -> None:
    async def run() -> None:
        turns, done = Turns(1, Budget(4, 2)), []
        let_go = asyncio.Event()

        async def work(holder: str) -> None:
            async with turns.turn(holder):
                await let_go.wait()
                done.append(holder)

        async with asyncio.TaskGroup() as tasks:
            for holder in "aabb":
                tasks.create_task(work(holder))
            await asyncio.sleep(0)
            for holder in "ac":
                with pytest.raises(RequestError):
                    await work(holder)
            let_go.set()
        assert done == ["a", "a", "b", "b"]
        await work("c")

    asyncio.run(run())
