"""Hosts over the API: listed, blocked, released; and the report of a job."""

import json
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from results_api.access import KeysRequired
from results_api.api_keys import digest_of, ending_of, make_key
from results_api.service.job_models import JOB
from shared.store.store import Grant, Job, Store
from tests.contract.api import Surroundings, client_on, services_on

_HOSTS = "/v1/hosts"


def _failure(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["type"]


def test_hosts_come_page_by_page(api: TestClient, store: Store) -> None:
    store.hosts.claim([f"h{number}.example" for number in range(5)], "worker", 60)
    found, cursor = [], None
    for size in (2, 2, 1):
        page = api.get(_HOSTS, params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        assert len(page["data"]) == size
        found += [host["host"] for host in page["data"]]
        cursor = page["meta"]["next_cursor"]
    assert cursor is None
    assert found == [f"h{number}.example" for number in range(5)]
    assert api.get(_HOSTS).json()["data"][0] == {
        "host": "h0.example",
        "state": "open",
        "seconds_left": None,
        "delay": services_on(store).settings.host_delay,
        "waiting": 0,
        "requests": 0,
        "code": None,
        "message": None,
    }


@pytest.mark.parametrize("cursor", ["?", "é", "aGk=", "_w", "aGl"])
def test_a_cursor_that_was_not_given_out_is_refused(api: TestClient, cursor: str) -> None:
    assert _failure(api.get(_HOSTS, params={"cursor": cursor})) == (400, "cursor_invalid")


def test_a_host_is_blocked_and_released(api: TestClient, store: Store) -> None:
    blocked = api.post(f"{_HOSTS}/B.example/block").json()["data"]
    assert (blocked["host"], blocked["state"]) == ("b.example", "blocked")
    assert store.hosts.blocked(["b.example"]) == {"b.example"}
    assert api.post(f"{_HOSTS}/b.example/release").json()["data"]["state"] == "open"
    assert not store.hosts.blocked(["b.example"])
    assert _failure(api.post(f"{_HOSTS}/a%20b/block")) == (422, "host_invalid")


def test_hosts_take_a_key_that_may_do_everything(store: Store) -> None:
    keys = {}
    for scope in ("submit", "admin"):
        keys[scope] = make_key()
        grant = Grant(scope, ("read", scope), rate=1000, burst=1000)
        store.keys.add(digest_of(keys[scope]), ending_of(keys[scope]), grant)
    with client_on(services_on(store, Surroundings(wanted=KeysRequired.ALWAYS))) as client:
        for method, path in (("GET", ""), ("POST", "/a.example/block"), ("POST", "/a.example/release")):
            answers = [
                client.request(method, _HOSTS + path, headers={"Authorization": f"Bearer {key}"})
                for key in keys.values()
            ]
            assert _failure(answers[0]) == (403, "scope_missing")
            assert answers[1].status_code == 200


def test_a_report_is_json_or_a_page(api: TestClient, job: Job) -> None:
    path = f"/v1/jobs/{job.id}/report"
    report = api.get(path).json()["data"]
    assert report["job"]["id"] == job.id
    assert report["job"]["submitted"] == 0
    assert list(report)[:3] == ["job", "sentences", "states"]
    for page in (
        api.get(path, params={"format": "html"}),
        api.get(path, headers={"Accept": "text/html,*/*;q=0.1"}),
    ):
        assert page.headers["Content-Type"].startswith("text/html")
        assert page.text.startswith("<!doctype html>")
        assert "script-src" not in page.headers["Content-Security-Policy"]
    assert api.get(path, params={"format": "json"}, headers={"Accept": "text/html"}).json()["data"]
    assert _failure(api.get(path, headers={"Accept": "image/png"})) == (406, "not_acceptable")
    assert _failure(api.get(path, params={"format": "pdf"})) == (422, "request_invalid")
    assert _failure(api.get("/v1/jobs/99/report")) == (404, "job_unknown")


def test_a_report_of_somebody_elses_job_is_not_there(store: Store, job: Job) -> None:
    key = make_key()
    store.keys.add(digest_of(key), ending_of(key), Grant("mine", ("read",), rate=1000, burst=1000))
    with client_on(services_on(store)) as client:
        headers = {"Authorization": f"Bearer {key}"}
        answer = client.get(f"/v1/jobs/{job.id}/report", headers=headers)
    assert _failure(answer) == (404, "job_unknown")


def test_the_example_is_what_a_status_holds(api: TestClient, job: Job) -> None:
    data = json.loads(api.get(f"/v1/jobs/{job.id}").text)["data"]
    assert data.keys() == JOB.keys()


def test_a_host_of_our_own_is_listed_and_steered_without_a_pause(store: Store) -> None:
    services = services_on(store)
    services = replace(services, settings=replace(services.settings, own_hosts=(("own.example", 8080),)))
    store.hosts.claim(["own.example"], "worker", 60)
    with client_on(services) as client:
        (host,) = client.get(_HOSTS).json()["data"]
        assert (host["host"], host["delay"]) == ("own.example", 0.0)
        assert client.post(f"{_HOSTS}/own.example:8080/block").json()["data"]["state"] == "blocked"
        assert client.post(f"{_HOSTS}/own.example/release").json()["data"]["state"] == "open"
