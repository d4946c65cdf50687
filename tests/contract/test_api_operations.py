"""What whoever runs the service asks for, what every answer has, and how the service explains itself."""

import logging
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from commands.metrics import ApiMetrics
from results_api.api_keys import ANYBODY, Caller, Scope
from results_api.service.app import make_app
from results_api.service.monitoring import HealthChecks
from results_api.service.services import Services
from shared.errors import Code, RequestError, ResourceError
from shared.store.store import Store
from tests.contract.api import client_on, services_on


def test_it_tells_that_it_lives(api: TestClient) -> None:
    answer = api.get("/livez")
    assert (answer.status_code, answer.json()["meta"]) == (200, {"type": "success", "code": 200})


def test_what_is_not_there_is_told_in_the_envelope(api: TestClient) -> None:
    answer = api.get("/v1/nothing")
    assert answer.json() == {
        "error": {
            "code": 404,
            "message": "There is nothing at this URL.",
            "url": "http://localhost:8000/docs/errors#not_found",
            "type": "not_found",
        }
    }


def _away() -> None:
    raise ResourceError(Code.DATABASE_UNAVAILABLE, "db.internal refuses")


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("check", "status"), [(lambda store: store.hosts.now(), 200), (lambda _: _away(), 503)]
)
def test_it_is_ready_if_all_that_it_needs_is_there(
    services: Services, check: Callable[[Store], object], status: int
) -> None:
    def look() -> None:
        check(services.store)

    with client_on(replace(services, health=HealthChecks({"store": look, "model": lambda: None}))) as api:
        answer = api.get("/readyz")
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["data"] == {"store": "ok", "model": "ok"}
    else:
        assert answer.json()["error"]["type"] == "not_ready"
        assert "(store: The database cannot be used. model: ok)" in answer.json()["error"]["message"]
        assert "internal" not in answer.text
        assert answer.headers["Retry-After"]


def test_while_it_drains_it_lives_and_is_not_ready(services: Services) -> None:
    with client_on(services) as api:
        assert api.portal
        api.portal.call(services.draining.begin, 60)
        answers = {path: api.get(path).status_code for path in ("/livez", "/readyz", "/v1/nothing")}
        assert answers == {"/livez": 200, "/readyz": 503, "/v1/nothing": 503}
        assert api.get("/readyz").json()["error"]["type"] == "shutting_down"


def test_prometheus_reads_what_was_asked_for(services: Services) -> None:
    observer = ApiMetrics()
    observer.classified("succeeded", 0.02)
    with client_on(replace(services, observer=observer)) as api:
        for path in ("/livez", "/v1/1", "/v1/2"):
            api.get(path)
        answer = api.get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    assert 'smartsight_api_requests_total{method="GET",route="/livez",status="200"} 1.0' in lines
    assert 'smartsight_api_requests_total{method="GET",route="none",status="404"} 2.0' in lines
    assert 'smartsight_api_classified_seconds_count{outcome="succeeded"} 1.0' in lines
    assert "smartsight_api_requests_in_hand 1.0" in lines


class _Guard:
    """Lets in whoever asks for what only administrators may, and knows everybody as key 7."""

    def __init__(self) -> None:
        self.asked: list[Scope] = []

    async def admit(self, authorization: str | None, scope: Scope) -> Caller:
        self.asked.append(scope)
        if authorization is None:
            raise RequestError(Code.KEY_MISSING)
        return replace(ANYBODY, key_id=7)


def test_numbers_are_for_administrators_and_the_log_names_the_key(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    guard = _Guard()
    with (
        client_on(replace(services, access=guard)) as api,  # type: ignore[arg-type]
        caplog.at_level(logging.DEBUG, "smartsight.access"),
    ):
        assert api.get("/metrics").status_code == 401
        assert api.get("/metrics", headers={"Authorization": "Bearer secret"}).status_code == 200
    assert guard.asked == [Scope.ADMIN, Scope.ADMIN]
    lines = [record for record in caplog.records if record.name == "smartsight.access"]
    assert [vars(line)["key_id"] for line in lines] == [None, 7]
    assert "secret" not in str([vars(line) for line in lines])


@pytest.mark.parametrize(
    ("path", "referrer"),
    [
        ("/livez", "no-referrer"),
        ("/v1/nothing", "no-referrer"),
        ("/docs", "same-origin"),
        ("/openapi.json", "no-referrer"),
    ],
)
def test_every_answer_has_a_name_and_headers_for_browsers(api: TestClient, path: str, referrer: str) -> None:
    headers = api.get(path, headers={"X-Request-ID": "mine"}).headers
    assert headers["X-Request-ID"] == "mine"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == referrer
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] in ("no-store", "no-cache")


def test_a_defect_has_them_too(services: Services) -> None:
    app = make_app(services)

    @app.get("/defect")
    async def defect() -> None:
        raise ZeroDivisionError("secret")

    with TestClient(app, raise_server_exceptions=False) as api:
        answer = api.get("/defect", headers={"X-Request-ID": "mine"})
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (500, "internal_error")
    assert error["message"].endswith("(request mine)")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "secret" not in answer.text


_ORIGIN = "https://pages.example"


def test_pages_of_other_origins_are_let_in_where_a_setting_names_them(store: Store) -> None:
    with client_on(services_on(store, cors_origins=(_ORIGIN,))) as api:
        asked = {"Origin": _ORIGIN, "Access-Control-Request-Method": "DELETE"}
        asked |= {"Access-Control-Request-Headers": "authorization, idempotency-key"}
        assert api.options("/v1/jobs", headers=asked).headers["Access-Control-Allow-Origin"] == _ORIGIN
        assert api.options("/v1/jobs", headers=asked | {"Origin": "https://evil.example"}).status_code == 400
        answer = api.get("/v1/nothing", headers={"Origin": _ORIGIN})
    assert answer.headers["Access-Control-Allow-Origin"] == _ORIGIN
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Cross-Origin-Resource-Policy" not in answer.headers


def test_without_a_setting_no_other_origin_is_let_in(api: TestClient) -> None:
    assert "Access-Control-Allow-Origin" not in api.get("/livez", headers={"Origin": _ORIGIN}).headers


def test_a_body_of_any_route_has_an_end(store: Store) -> None:
    with client_on(services_on(store, list_bytes=1, upload_bytes=1)) as api:
        app = api.app

        @app.post("/bodies")  # type: ignore[attr-defined, untyped-decorator]
        async def bodies(body: dict[str, str]) -> None:
            raise AssertionError("never reached")

        answer = api.post("/bodies", content=b'{"a": "' + 1_000_001 * b"x" + b'"}')
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "body_too_large")


def test_the_pages_need_nothing_from_outside(api: TestClient) -> None:
    found = set()
    for page in ("/docs", "/docs/errors"):
        answer = api.get(page)
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "<script>" not in answer.text
        assert not re.search(r"\son[a-z]+=", answer.text)
        references = re.findall(r'(?:src|href)="([^"#][^"]*)"', answer.text)
        assert not [url for url in references if "//" in url]
        found |= {str(answer.url.join(url)) for url in references if not url.startswith("data:")}
    assert len(found) >= 6
    for url in sorted(found):
        assert api.get(url).status_code == 200, url
    assert "url(http" not in api.get("/docs/swagger/swagger-ui.css").text
    assert "validatorUrl: null" in api.get("/static/docs.js").text


def test_the_page_of_the_document_allows_no_script_but_ours(api: TestClient) -> None:
    policy = api.get("/docs").headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "http" not in policy
    assert api.get("/docs/", follow_redirects=False).headers["Location"] == "../docs"


def test_files_of_the_pages_are_kept_by_browsers(api: TestClient) -> None:
    first = api.get("/docs/swagger/swagger-ui-bundle.js?v=1")
    assert first.headers["Cache-Control"].startswith("public, max-age=31536000")
    again = api.get("/docs/swagger/swagger-ui-bundle.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert api.get("/static/../exports.py").status_code == 404
    assert api.get("/static/%2e%2e/exports.py").status_code == 404


def test_every_code_is_explained_at_the_place_that_failures_name(api: TestClient) -> None:
    page = api.get("/docs/errors").text
    for code in Code:
        assert f'<tr id="{code}">' in page
    row = page.partition('<tr id="at_capacity">')[2].partition("</tr>")[0]
    assert [">503<" in row, ">yes, later<" in row] == [True, True]
