"""What the API knows of a picture across jobs, and how it forgets it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from results_api.access import Access, KeysRequired
from results_api.api_keys import Caller, Scope
from results_api.cursors import encode_cursor
from results_api.service.services import Services
from shared.errors import Code, RequestError
from shared.items import Evidence, Item, ItemState, Result
from shared.store.schema import jobs
from shared.store.store import Job, RecordedModel, Store
from tests.contract.api import client_on

_URL, _OTHER = "http://h/a.jpg?x=1&y=2", "http://h/b.jpg"
_SHA256 = "ab" * 32
_LABELS = [
    {"class": "dog", "wordnet_id": "n2", "score": 0.5},
    {"class": "cat", "wordnet_id": "n1", "score": 0.25},
]


def _submit(store: Store, model: RecordedModel, name: str, *refs: str) -> Job:
    """Return a job of which all images were labelled, all with the same bytes."""
    job = store.jobs.open(name, model.id)
    store.items.add([Item(job.id, index, ref) for index, ref in enumerate(refs)])
    evidence = Evidence(640, 480, "JPEG", 10, _SHA256, "h", "http://h/final", 200)
    done = Result(job.id, 0, ItemState.SUCCEEDED, datetime.now(UTC), 1, model.id, (1, 0), (0.5, 0.25))
    store.results.save([replace(done, index=index, evidence=evidence) for index in range(len(refs))])
    return job


def _error(api: TestClient, method: str = "GET", **names: str) -> tuple[int, str]:
    answer = api.request(method, "/v1/images", params=names)
    return answer.status_code, answer.json()["error"]["type"]


@pytest.mark.both_databases
def test_a_picture_is_known_by_its_url_and_by_its_bytes(
    api: TestClient, store: Store, model: RecordedModel
) -> None:
    first = _submit(store, model, "first", _URL, _OTHER)
    newer = store.models.record("lite0", "2", [("n1", "kitten"), ("n2", "puppy")])
    second = _submit(store, newer, "second", _URL)
    by_url = api.get("/v1/images", params={"url": _URL}).json()
    assert by_url["meta"] == {"type": "success", "code": 200, "next_cursor": None}
    assert [(row["job"], row["model"]) for row in by_url["data"]] == [
        (second.id, "lite0@2"),
        (first.id, "lite0@1"),
    ]
    assert by_url["data"][0]["predictions"][0]["class"] == "puppy"
    assert by_url["data"][1]["predictions"] == _LABELS
    assert by_url["data"][1]["ref"] == _URL
    by_content = api.get("/v1/images", params={"sha256": _SHA256.upper()}).json()["data"]
    assert [(row["job"], row["index"]) for row in by_content] == [
        (second.id, 0),
        (first.id, 1),
        (first.id, 0),
    ]


@pytest.mark.both_databases
def test_what_is_known_is_read_in_pages(api: TestClient, store: Store, model: RecordedModel) -> None:
    job = _submit(store, model, "job", *(f"http://h/{index}" for index in range(5)))
    asked: dict[str, str | int] = {"sha256": _SHA256, "limit": 2}
    pages = [api.get("/v1/images", params=asked).json()]
    while cursor := pages[-1]["meta"]["next_cursor"]:
        pages.append(api.get("/v1/images", params=asked | {"cursor": cursor}).json())
    assert [[row["index"] for row in page["data"]] for page in pages] == [[4, 3], [2, 1], [0]]
    exactly = api.get("/v1/images", params=asked | {"limit": 5}).json()
    assert exactly["meta"]["next_cursor"] is None, "a page that is empty is promised"
    beyond = api.get("/v1/images", params=asked | {"cursor": encode_cursor(job.id, 0)}).json()
    assert (beyond["data"], beyond["meta"]["next_cursor"]) == ([], None)


def test_a_picture_that_nobody_saw_is_unknown(api: TestClient) -> None:
    assert _error(api, url=_URL) == (404, "image_unknown")
    assert _error(api, sha256=_SHA256) == (404, "image_unknown")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    "names",
    [
        {},
        {"url": _URL, "sha256": _SHA256},
        {"url": ""},
        {"url": "a.jpg"},
        {"url": "/etc/passwd"},
        {"url": "http://h/\0"},
        {"url": "http://h/a b"},
        {"url": f"http://h/{'a' * 2048}"},
        {"sha256": "ab"},
        {"sha256": "x" * 64},
        {"sha256": f"{_SHA256}\n"},
    ],
)
def test_one_picture_has_to_be_named(api: TestClient, method: str, names: dict[str, str]) -> None:
    assert _error(api, method, **names) == (422, "request_invalid")


def test_a_cursor_of_somebody_elses_making_is_refused(api: TestClient) -> None:
    assert _error(api, url=_URL, cursor="made up") == (400, "cursor_invalid")
    assert _error(api, url=_URL, cursor=encode_cursor(1)) == (400, "cursor_invalid")
    assert _error(api, url=_URL, limit="0") == (422, "request_invalid")


@pytest.mark.both_databases
def test_a_url_is_forgotten_with_a_receipt(api: TestClient, store: Store, model: RecordedModel) -> None:
    _submit(store, model, "first", _URL, _OTHER)
    _submit(store, model, "second", _URL)
    answer = api.delete("/v1/images", params={"url": _URL})
    receipt = {"url": _URL, "results": 2, "denied": True, "contents": [_SHA256]}
    assert (answer.status_code, answer.json()["data"]) == (200, receipt)
    rows = api.get("/v1/images", params={"url": _URL}).json()["data"]
    assert [(row["state"], row["code"], row["predictions"], row["sha256"]) for row in rows] == [
        ("skipped", "forgotten", [], None)
    ] * 2
    assert store.deny_list.urls([_URL, _OTHER]) == {_URL}
    again = api.delete("/v1/images", params={"url": _URL}).json()["data"]
    assert again == receipt | {"results": 0, "contents": []}


@pytest.mark.both_databases
def test_bytes_are_forgotten_with_a_receipt(api: TestClient, store: Store, model: RecordedModel) -> None:
    _submit(store, model, "first", _URL, _OTHER)
    answer = api.delete("/v1/images", params={"sha256": _SHA256.upper()})
    receipt = {"sha256": _SHA256, "results": 2, "denied": True, "contents": [_SHA256]}
    assert (answer.status_code, answer.json()["data"]) == (200, receipt)
    assert _error(api, sha256=_SHA256) == (404, "image_unknown")
    assert store.deny_list.contents([_SHA256]) == {_SHA256}


def test_what_was_never_seen_can_be_denied(api: TestClient, store: Store) -> None:
    receipt = api.delete("/v1/images", params={"url": _URL}).json()["data"]
    assert receipt == {"url": _URL, "results": 0, "denied": True, "contents": []}
    assert store.deny_list.urls([_URL]) == {_URL}


class _Keys(Access):
    """Takes the number of a key for the key; the first may do everything."""

    async def admit(self, authorization: str | None, scope: Scope) -> Caller:
        if authorization is None:
            raise RequestError(Code.KEY_MISSING)
        key_id = int(authorization)
        scopes = frozenset(Scope) if key_id == 1 else frozenset({Scope.READ})
        if scope not in scopes:
            raise RequestError(Code.SCOPE_MISSING)
        return Caller(key_id, scopes)


@pytest.fixture
def guarded(services: Services) -> Iterator[TestClient]:
    with client_on(replace(services, access=_Keys(services.store, KeysRequired.ALWAYS))) as client:
        yield client


@pytest.mark.both_databases
def test_a_key_sees_pictures_of_its_own_jobs_only(
    guarded: TestClient, store: Store, model: RecordedModel
) -> None:
    jobs_of = {key_id: _submit(store, model, str(key_id), _URL) for key_id in (2, 3)}
    with store.jobs._database.write() as connection:
        for key_id, job in jobs_of.items():
            connection.execute(update(jobs).where(jobs.c.id == job.id).values(key_id=key_id))

    def seen(key_id: int, **names: str) -> list[int]:
        answer = guarded.get("/v1/images", params=names, headers={"Authorization": str(key_id)})
        return [row["job"] for row in answer.json().get("data", [])]

    for names in ({"url": _URL}, {"sha256": _SHA256}):
        assert seen(2, **names) == [jobs_of[2].id]
        assert seen(3, **names) == [jobs_of[3].id]
        assert seen(4, **names) == []
        assert seen(1, **names) == [jobs_of[3].id, jobs_of[2].id]


def test_only_an_admin_may_forget(guarded: TestClient, store: Store) -> None:
    assert _error(guarded, "DELETE", url=_URL) == (401, "key_missing")
    answer = guarded.delete("/v1/images", params={"url": _URL}, headers={"Authorization": "2"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "scope_missing")
    assert store.deny_list.urls([_URL]) == set()
    allowed = guarded.delete("/v1/images", params={"url": _URL}, headers={"Authorization": "1"})
    assert allowed.status_code == 200


def test_answers_are_as_they_are_documented(api: TestClient, store: Store, model: RecordedModel) -> None:
    """Answers are written without a look at the models that the documentation is made of."""
    from results_api.service.responses import PageResponse, SuccessResponse
    from results_api.service.routes.images import ForgottenRead, ImageResultRead

    _submit(store, model, "job", _URL)
    row = api.get("/v1/images", params={"url": _URL}).json()
    assert set(row["data"][0]) == {
        field.alias or name for name, field in ImageResultRead.model_fields.items()
    }
    PageResponse[ImageResultRead].model_validate(row)
    SuccessResponse[ForgottenRead].model_validate(api.delete("/v1/images", params={"url": _URL}).json())
