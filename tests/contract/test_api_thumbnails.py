"""Thumbnails over HTTP."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from results_api.access import KeysRequired
from results_api.api_keys import digest_of, ending_of, make_key
from shared.items import Evidence, Item, ItemState, Result, now
from shared.store.store import Grant, Job, NewJob, RecordedModel, Store
from tests.contract.api import Surroundings, client_on, services_on

_SEEN = b"what the model saw"
_CAT = "ca" * 32


def _label(store: Store, job: Job) -> Job:
    """Give the first of two items a label and a thumbnail."""
    store.items.add([Item(job.id, index, f"http://h/{index}") for index in (0, 1)])
    evidence = Evidence(640, 480, "JPEG", 10, _CAT)
    done = (job.id, 0, ItemState.SUCCEEDED, now(), 1, job.model_id, (1,), (0.5,))
    store.results.save([Result(*done, evidence=evidence, thumbnail=_SEEN)])
    return job


def _path(job_id: int, index: object = 0) -> str:
    return f"/v1/jobs/{job_id}/results/{index}/thumbnail"


def _failure(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["type"]


@pytest.mark.both_databases
def test_a_thumbnail_is_given_out_and_may_be_kept_for_a_day(api: TestClient, store: Store, job: Job) -> None:
    answer = api.get(_path(_label(store, job).id))
    assert (answer.status_code, answer.content) == (200, _SEEN)
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Cache-Control"] == "private, max-age=86400"


def test_who_has_it_already_is_told_so(api: TestClient, store: Store, job: Job) -> None:
    path = _path(_label(store, job).id)
    tag = api.get(path).headers["ETag"]
    again = api.get(path, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    assert again.headers["Cache-Control"] == "private, max-age=86400"
    assert api.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_where_there_is_none_it_is_missing(api: TestClient, store: Store, job: Job) -> None:
    _label(store, job)
    for index in (1, 2, 2**63 - 1):
        assert _failure(api.get(_path(job.id, index))) == (404, "thumbnail_missing")
    assert _failure(api.get(_path(job.id + 1))) == (404, "job_unknown")


@pytest.mark.both_databases
def test_a_forgotten_one_is_missing(api: TestClient, store: Store, job: Job) -> None:
    path = _path(_label(store, job).id)
    tag = api.get(path).headers["ETag"]
    assert api.delete("/v1/images", params={"sha256": _CAT}).status_code == 200
    assert _failure(api.get(path, headers={"If-None-Match": tag})) == (404, "thumbnail_missing")


@pytest.mark.parametrize("index", [-1, 2**63, "first"])
def test_an_index_has_to_be_one(api: TestClient, store: Store, job: Job, index: object) -> None:
    assert _failure(api.get(_path(_label(store, job).id, index))) == (422, "request_invalid")


def _add_key(store: Store, scope: str) -> tuple[int, dict[str, str]]:
    """Return the number of a new key, and the headers of who has it."""
    key = make_key()
    added = store.keys.add(digest_of(key), ending_of(key), Grant(scope, (scope,), rate=1000, burst=1000))
    return added.id, {"Authorization": f"Bearer {key}"}


@pytest.mark.both_databases
def test_a_thumbnail_is_seen_by_the_key_of_its_job_alone(store: Store, model: RecordedModel) -> None:
    (my_id, mine), (_, theirs), (_, phone) = (
        _add_key(store, scope) for scope in ("read", "read", "classify")
    )
    job, _ = store.uploads.accept(NewJob("mine", "", model.id, "list.txt", key_id=my_id), [b""])
    path = _path(_label(store, job).id)
    with client_on(services_on(store, Surroundings(wanted=KeysRequired.ALWAYS))) as client:
        assert client.get(path, headers=mine).content == _SEEN
        assert _failure(client.get(path, headers=theirs)) == (404, "job_unknown")
        assert _failure(client.get(path, headers=phone)) == (403, "scope_missing")
        assert _failure(client.get(path)) == (401, "key_missing")
