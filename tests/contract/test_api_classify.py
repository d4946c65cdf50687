"""``POST /v1/classify``, as the phone app and its predecessor speak it."""

import asyncio
import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from results_api.capacity import Capacity
from results_api.service.services import Services
from shared.errors import Code, ItemError, RequestError
from shared.items import Evidence, Item, ItemState, Result
from shared.store.store import Store
from tests.contract.api import Surroundings, client_on, services_on

_URL = "/v1/classify"


@pytest.fixture
def jpeg(encoded: Callable[..., bytes]) -> bytes:
    return encoded(Image.new("RGB", (64, 48), "red"), "JPEG")


def _type(answer: object) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["type"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("field", ["file", "photo", "whatever"])
def test_a_form_may_call_its_file_as_it_likes(api: TestClient, jpeg: bytes, field: str) -> None:
    answer = api.post(_URL, files={field: ("a.jpg", jpeg, "image/jpeg")})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["meta"]["type"], body["meta"]["code"]) == ("success", 200)
    assert (body["meta"]["model"], body["meta"]["reused"]) == ("colours@1", False)
    assert body["data"][0]["class"] == "red, crimson"
    assert body["data"][0]["wordnet_id"] == "n1"
    assert 0.5 < body["data"][0]["score"] <= 1
    assert [entry["score"] for entry in body["data"]] == sorted(
        (entry["score"] for entry in body["data"]), reverse=True
    )


def test_the_first_file_of_a_form_counts(api: TestClient, jpeg: bytes, encoded: Callable[..., bytes]) -> None:
    blue = encoded(Image.new("RGB", (9, 9), "blue"), "PNG")
    answer = api.post(_URL, data={"note": "x"}, files=[("a", ("a", blue)), ("b", ("b", jpeg))])
    assert answer.json()["data"][0]["class"] == "blue, azure"


@pytest.mark.parametrize("kind", ["image/jpeg", "application/octet-stream", "image/png", "text/plain", None])
def test_a_body_is_judged_by_its_content(api: TestClient, jpeg: bytes, kind: str | None) -> None:
    answer = api.post(_URL, content=jpeg, headers={"Content-Type": kind} if kind else {})
    assert (answer.status_code, answer.json()["data"][0]["class"]) == (200, "red, crimson")


def test_so_many_classes_as_are_asked_for(api: TestClient, jpeg: bytes) -> None:
    assert len(api.post(_URL, params={"top": 1}, content=jpeg).json()["data"]) == 1
    assert len(api.post(_URL, params={"top": 20}, content=jpeg).json()["data"]) == 3
    for wrong in ("0", "21", "x"):
        assert _type(api.post(_URL, params={"top": wrong}, content=jpeg)) == (422, "request_invalid")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"just text", (415, "not_an_image")),
        (b"II*\0" + bytes(40), (415, "unsupported_format")),
        (b"", (422, "no_image")),
    ],
)
def test_what_is_no_image_is_refused(api: TestClient, content: bytes, expected: tuple[int, str]) -> None:
    assert _type(api.post(_URL, content=content, headers={"Content-Type": "image/jpeg"})) == expected
    answer = api.post(_URL, files={"file": ("a.jpg", content, "image/jpeg")})
    assert _type(answer) == expected
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "url", "type"}
    assert error["url"] == f"http://localhost:8000/docs/errors#{expected[1]}"


def test_a_broken_image_is_422(api: TestClient, jpeg: bytes) -> None:
    assert _type(api.post(_URL, content=jpeg[: len(jpeg) // 2])) == (422, "image_truncated")
    corrupt = jpeg[:20] + bytes(len(jpeg) - 20)
    assert api.post(_URL, files={"photo": corrupt}).status_code == 422


def test_a_form_without_a_file_is_422(api: TestClient) -> None:
    answer = api.post(_URL, data={"file": "a"}, files={})
    assert answer.status_code in (415, 422)
    only_text = {"Content-Type": "multipart/form-data; boundary=x"}
    body = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\ntext\r\n--x--\r\n'
    assert _type(api.post(_URL, content=body, headers=only_text)) == (422, "no_image")
    assert _type(api.post(_URL, content=b"--y", headers=only_text)) == (422, "request_invalid")


def test_bytes_are_counted_and_not_believed(store: Store, jpeg: bytes) -> None:
    services = services_on(store, upload_bytes=len(jpeg) - 1)
    with client_on(services) as client:
        assert _type(client.post(_URL, content=jpeg)) == (413, "too_many_bytes")
        assert _type(client.post(_URL, files={"file": jpeg})) == (413, "too_many_bytes")
        pieces = iter([jpeg[:100], jpeg[100:]])  # sent in chunks, without a length
        assert _type(client.post(_URL, content=pieces)) == (413, "too_many_bytes")
        large = bytes(len(jpeg) + 200_000)
        assert _type(client.post(_URL, files={"file": large})) == (413, "too_many_bytes")


def test_an_image_on_the_web(api: TestClient, around: Surroundings, jpeg: bytes) -> None:
    around.web.put("https://example.com/a.jpg", jpeg)
    around.web.redirect("https://example.com/b", "https://example.com/a.jpg")
    for url in ("https://example.com/a.jpg", "https://example.com/b"):
        answer = api.post(_URL, json={"url": url})
        assert (answer.status_code, answer.json()["data"][0]["class"]) == (200, "red, crimson")
    around.web.redirect("https://example.com/c", "https://example.com/c")
    assert _type(api.post(_URL, json={"url": "https://example.com/c"})) == (422, "too_many_redirects")
    assert _type(api.post(_URL, json={"url": "https://example.com/d"})) == (422, "http_404")


@pytest.mark.both_databases
def test_a_blocked_host_is_not_called(api: TestClient, around: Surroundings, store: Store) -> None:
    store.hosts.set_blocked("example.com", True)
    assert _type(api.post(_URL, json={"url": "https://example.com/a.jpg"})) == (422, "host_blocked")
    assert around.web.asked == []


def test_what_the_web_refuses_is_told(api: TestClient, around: Surroundings) -> None:
    around.web.answers["http://10.0.0.1/"] = ItemError(Code.URL_NOT_ALLOWED, "not a public address")
    assert _type(api.post(_URL, json={"url": "http://10.0.0.1/"})) == (422, "url_not_allowed")
    for body in ({"url": ""}, {"url": 1}, {}, [], {"url": "http://a/", "more": 1}):
        assert _type(api.post(_URL, json=body)) == (422, "request_invalid")
    broken = {"content": b"{", "headers": {"Content-Type": "application/json"}}
    assert _type(api.post(_URL, **broken)) == (422, "request_invalid")


@pytest.mark.both_databases
def test_the_same_bytes_are_answered_from_the_store(
    api: TestClient, services: Services, around: Surroundings, store: Store, jpeg: bytes
) -> None:
    _store_labels(store, services.image_classifier.model_id, jpeg, (2, 0))
    answer = api.post(_URL, params={"top": 2}, content=jpeg)
    assert answer.json()["meta"]["reused"] is True
    assert [entry["class"] for entry in answer.json()["data"]] == ["blue, azure", "red, crimson"]
    assert around.engine.asked == 0
    # Fewer classes are stored than are asked for now.
    assert api.post(_URL, params={"top": 3}, content=jpeg).json()["meta"]["reused"] is False
    assert around.engine.asked == 1


@pytest.mark.both_databases
def test_denied_bytes_are_not_classified_whichever_way_they_come(
    api: TestClient, around: Surroundings, services: Services, store: Store, jpeg: bytes
) -> None:
    _store_labels(store, services.image_classifier.model_id, jpeg, (2, 0))
    store.deny_list.forget_sha256(hashlib.sha256(jpeg).hexdigest())
    around.web.put("https://example.com/a.jpg", jpeg)
    ways: list[dict[str, Any]] = [
        {"content": jpeg},
        {"content": jpeg, "headers": {"Content-Type": "image/jpeg"}},
        {"files": {"photo": jpeg}},
        {"json": {"url": "https://example.com/a.jpg"}},
    ]
    for way in ways:
        assert _type(api.post(_URL, **way)) == (422, "forgotten")
    assert (around.engine.asked, around.capacity._admitted) == (0, 0)


def _store_labels(store: Store, model_id: int, content: bytes, class_ids: tuple[int, ...]) -> None:
    job = store.jobs.open("earlier", model_id)
    store.items.add([Item(job.id, 0, "http://a/a.jpg")])
    evidence = Evidence(64, 48, "JPEG", len(content), hashlib.sha256(content).hexdigest())
    result = Result(job.id, 0, ItemState.SUCCEEDED, datetime.now(UTC), 1, model_id, class_ids, (0.7, 0.2))
    store.results.save([replace(result, evidence=evidence)])


def test_who_comes_when_there_is_no_room_is_told_to_come_again(
    services: Services, around: Surroundings, jpeg: bytes
) -> None:
    around.capacity._admitted = around.capacity._limit
    with client_on(services) as client:
        answer = client.post(_URL, content=jpeg)
    assert _type(answer) == (503, "at_capacity")
    assert int(answer.headers["Retry-After"]) >= 1


def test_places_are_given_back_whatever_happens(api: TestClient, around: Surroundings, jpeg: bytes) -> None:
    for content in (jpeg, b"text", jpeg[:100]) * 10:
        api.post(_URL, content=content)
    assert around.capacity._admitted == 0


def test_so_many_at_work_and_so_many_in_line() -> None:
    async def come() -> None:
        capacity = Capacity(1, 1)
        with capacity.admit(), capacity.admit():
            with pytest.raises(RequestError) as caught, capacity.admit():
                pass
            assert caught.value.code is Code.AT_CAPACITY
        with capacity.admit():
            pass

    asyncio.run(come())


@pytest.mark.both_databases
def test_a_store_that_is_away_costs_no_answer(
    services: Services, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()

    def away(*_: object) -> None:
        from shared.errors import ResourceError

        asked.set()
        raise ResourceError(Code.DATABASE_UNAVAILABLE, "gone")

    monkeypatch.setattr(services.store.results, "labelled", away)
    with client_on(services) as client:
        assert client.post(_URL, content=jpeg).status_code == 200
    assert asked.is_set()


def test_hostile_images_are_answered_and_never_5xx(api: TestClient, test_data: Path) -> None:
    for path in sorted((test_data / "hostile").iterdir()):
        if path.is_file():
            answer = api.post(_URL, content=path.read_bytes())
            assert answer.status_code in (200, 413, 415, 422), (path.name, answer.text)
