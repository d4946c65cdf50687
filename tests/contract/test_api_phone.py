"""What makes an app of the phone page: all that its manifest and its worker name is there, below any path."""

import json
import re
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from results_api.access import KeysRequired
from results_api.service.pages.phone import MODULES
from results_api.service.pages.rendering import STATIC
from results_api.service.services import Services
from shared.store.store import Store
from tests.contract.api import Surroundings, client_on, services_on

_IMPORT = re.compile(r'^import .* from "\./(.+)";$', re.MULTILINE)


@pytest.fixture
def services(store: Store, around: Surroundings) -> Services:
    around.wanted = KeysRequired.ALWAYS
    return services_on(store, around, upload_bytes=12_345)


@pytest.fixture
def api(services: Services) -> Iterator[TestClient]:
    with client_on(services) as client:
        yield client


@pytest.mark.parametrize(
    "path", ["/", "/offline", "/manifest.webmanifest", "/service-worker.js", "/favicon.ico"]
)
def test_the_app_is_given_out_without_a_key(path: str, api: TestClient) -> None:
    assert api.get(f"/{path}").status_code == 200


def test_the_page_knows_the_largest_picture(api: TestClient) -> None:
    assert 'data-most-bytes="12345"' in api.get("/").text


def test_all_that_the_manifest_names_is_there_and_found_from_it(api: TestClient) -> None:
    answer = api.get("/manifest.webmanifest")
    assert answer.headers["Content-Type"] == "application/manifest+json"
    manifest = answer.json()
    assert manifest["start_url"] == manifest["scope"] == "./"
    assert {(icon["sizes"], icon["purpose"]) for icon in manifest["icons"]} == {
        (sizes, purpose) for sizes in ("192x192", "512x512") for purpose in ("any", "maskable")
    }
    for icon in manifest["icons"]:
        answer = api.get(f"/{icon['src']}")
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, icon["type"])


def test_all_that_the_worker_keeps_is_there_and_found_from_it(api: TestClient) -> None:
    answer = api.get("/service-worker.js")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "connect-src 'self'" in answer.headers["Content-Security-Policy"]
    kept = re.search(r"^const FILES = (.*);$", answer.text, re.MULTILINE)
    assert kept
    for name in json.loads(kept[1]):
        assert api.get(f"/{name}").status_code == 200


def test_the_worker_keeps_all_that_its_pages_refer_to(api: TestClient) -> None:
    worker = api.get("/service-worker.js").text
    for page in ("/", "/offline"):
        for name in re.findall(r'<(?:link|script)[^>]* (?:href|src)="([^"]+)"', api.get(page).text):
            assert f'"{name}"' in worker or "apple-touch-icon" in name, name


def test_another_limit_in_the_page_makes_another_worker(
    api: TestClient, store: Store, around: Surroundings
) -> None:
    worker = api.get("/service-worker.js").text
    assert worker == api.get("/service-worker.js").text
    with client_on(services_on(store, around, upload_bytes=54_321)) as other:
        assert other.get("/service-worker.js").text != worker


@pytest.mark.parametrize("page", ["/", "/offline"])
def test_nothing_is_looked_for_at_the_root_which_may_be_a_proxys(page: str, api: TestClient) -> None:
    assert not re.findall(r'(?:href|src|action)="/[^"]*"', api.get(page).text)


def test_all_that_the_scripts_import_is_named() -> None:
    scripts = [(STATIC / name).read_text("utf-8") for name in ("phone.js", *MODULES)]
    assert {name for script in scripts for name in _IMPORT.findall(script)} == set(MODULES)
