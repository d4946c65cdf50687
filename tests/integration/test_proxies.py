"""The service behind Debian's nginx: with our documentation's configuration, and with nginx's defaults."""

import json
import logging
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from api_client import Client
from results_api.access import KeysRequired
from results_api.api_keys import digest_of, ending_of, make_key
from shared.items import JobState
from shared.store.database import Database
from shared.store.store import Grant, Store
from tests.contract.api import Surroundings, record_lists, served, services_on
from tests.servers.nginx import ADDRESS, documented_location, nginx

_PROXY = (ip_network(ADDRESS),)
_DEFAULTS = "location / {{ proxy_pass {upstream}; }}"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Database(f"sqlite:///{tmp_path / 'test.db'}")) as database:
        yield Store(database)


@pytest.fixture
def key(store: Store) -> str:
    key = make_key()
    store.keys.add(digest_of(key), ending_of(key), Grant("x", ("admin",), rate=1000, burst=1000))
    return key


@contextmanager
def _behind(
    store: Store, folder: Path, locations: Any = documented_location, **settings: Any
) -> Iterator[str]:
    """Give the URL of nginx before the service."""
    services = services_on(store, Surroundings(wanted=KeysRequired.ALWAYS), **settings)
    with served(services) as upstream, nginx(folder, locations(upstream)) as url:
        yield url


def test_our_client_and_links_work_below_the_path(
    store: Store, key: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "smartsight.access")
    with _behind(store, tmp_path, trusted_proxies=_PROXY) as url, Client(f"{url}/labels", key) as client:
        job = client.submit(["https://a.example/1.jpg"])
        record_lists(store)
        assert [found.id for found in client.jobs()] == [job.id]
        client.cancel(job.id)
        assert client.wait(job.id).state is JobState.CANCELLED
        assert [row["state"] for row in client.results(job.id)] == ["cancelled"]
        shown = {"Authorization": f"Bearer {key}", "X-Forwarded-For": "203.0.113.9"}
        links = httpx2.get(f"{url}/labels/v1/jobs/{job.id}", headers=shown).json()["data"]["links"]
        assert httpx2.get(f"{url}{links['results']}", headers=shown).status_code == 200
        missing = httpx2.get(f"{url}/labels/v1/nothing").json()["error"]
        assert missing["url"] == f"{url}/labels/docs/errors#not_found"
        assert httpx2.get(missing["url"]).status_code == 200
    # nginx adds the client that it saw to what the client invented.
    clients = {vars(line)["client"] for line in caplog.records if line.name == "smartsight.access"}
    assert clients == {"127.0.0.1"}


def test_events_arrive_when_they_happen(store: Store, key: str, tmp_path: Path) -> None:
    with _behind(store, tmp_path, trusted_proxies=_PROXY) as url:
        shown = {"Authorization": f"Bearer {key}"}
        answer = httpx2.post(f"{url}/labels/v1/jobs", json={"urls": ["https://a/"]}, headers=shown)
        job = answer.json()["data"]
        with httpx2.stream("GET", f"{url}{job['links']['events']}", headers=shown, timeout=30) as events:
            lines = events.iter_lines()
            assert next(lines) == "event: job"  # the job goes on, and so does the stream


def test_a_list_beyond_nginxs_default_comes_through(store: Store, key: str, tmp_path: Path) -> None:
    content = b"https://a.example/1.jpg\n" * 100_000
    shown = {"Authorization": f"Bearer {key}", "Content-Type": "text/plain"}
    with _behind(store, tmp_path, trusted_proxies=_PROXY) as url:
        assert httpx2.post(f"{url}/labels/v1/jobs", content=content, headers=shown).status_code == 202


def test_with_nginxs_defaults_the_key_form_says_what_is_missing(
    store: Store, key: str, tmp_path: Path
) -> None:
    locations = lambda upstream: _DEFAULTS.format(upstream=upstream)  # noqa: E731
    with _behind(store, tmp_path, locations) as url:
        answer = httpx2.post(f"{url}/key", data={"key": key}, headers={"Origin": url})
        assert answer.status_code == 403
        assert "SMARTSIGHT_TRUSTED_PROXIES" in answer.text
        # nginx asks with HTTP/1.0 by default.
        with socket.create_connection(
            (urlsplit(url).hostname or "", urlsplit(url).port or 0), 30
        ) as connection:
            connection.sendall(f"GET /openapi.json HTTP/1.0\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
            body = b"".join(iter(lambda: connection.recv(65_536), b"")).partition(b"\r\n\r\n")[2]
        assert json.loads(body)["openapi"]
