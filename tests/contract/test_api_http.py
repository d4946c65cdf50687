"""What HTTP asks of every resource, and what clients are used to: methods, forms, events, prefixes."""

import json
import re
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from results_api.access import KeysRequired
from results_api.api_keys import digest_of, ending_of, make_key
from results_api.service.app import openapi_json
from results_api.service.headers import RESPONSE_HEADERS
from shared.store.store import Grant, Store
from tests.contract.api import Surroundings, client_on, record_lists, services_on

_DOCUMENT = json.loads(openapi_json())
_ORIGIN = "https://pages.example"
_URL = "/v1/classify"


@pytest.fixture
def jpeg(encoded: Callable[..., bytes]) -> bytes:
    return encoded(Image.new("RGB", (64, 48), "red"), "JPEG")


def _submit(api: TestClient, count: int = 3, **more: Any) -> int:
    urls = [f"https://a.example/{number}.jpg" for number in range(count)]
    job_id: int = api.post("/v1/jobs", json={"urls": urls, **more}).json()["data"]["id"]
    return job_id


@pytest.fixture
def over(api: TestClient, store: Store) -> int:
    """A job that is over, with three results."""
    job_id = _submit(api)
    record_lists(store)
    api.post(f"/v1/jobs/{job_id}/cancel")
    return job_id


def _paths(job_id: int) -> dict[str, set[str]]:
    """Return the methods that the document has for each path, for this job."""
    known = {"job_id": job_id, "index": 0, "host": "a.example"}
    return {
        path.format(**known): {method.upper() for method in found}
        for path, found in _DOCUMENT["paths"].items()
    }


def test_head_is_answered_wherever_get_is(api: TestClient, over: int) -> None:
    pages = [
        "/",
        "/jobs",
        f"/jobs/{over}",
        "/key",
        "/docs",
        "/docs/errors",
        "/openapi.json",
        "/static/phone.js",
    ]
    apis = [path for path, methods in _paths(over).items() if "GET" in methods]
    for path in (*apis, *pages, f"/v1/jobs/{over}/results?format=csv"):
        get, head = api.get(path), api.head(path)
        assert (head.status_code, head.content) == (get.status_code, b""), path
        assert head.headers["Content-Type"] == get.headers["Content-Type"], path
        assert head.headers.get("Content-Length") == get.headers.get("Content-Length"), path


def test_head_is_not_answered_where_get_is_not(api: TestClient) -> None:
    answer = api.head(_URL)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_allow_names_the_whole_resource(api: TestClient, over: int) -> None:
    for path, methods in _paths(over).items():
        allowed = methods | ({"HEAD"} if "GET" in methods else set())
        for method in {"PUT", "PATCH", "GET", "POST", "DELETE", "OPTIONS"} - methods:
            answer = api.request(method, path)
            assert answer.status_code == 405, (method, path)
            assert set(answer.headers["Allow"].split(", ")) == allowed, (method, path)
            assert answer.json()["error"]["type"] == "method_not_allowed"
    assert api.delete("/static/phone.js").headers["Allow"] == "GET, HEAD"
    assert api.post("/").headers["Allow"] == "GET, HEAD"


def test_a_slash_at_the_end_makes_no_difference(api: TestClient, jpeg: bytes, over: int) -> None:
    answer = api.post(f"{_URL}/", files={"photo": ("a.jpg", jpeg, "image/jpeg")}, follow_redirects=False)
    assert (answer.status_code, answer.json()["data"][0]["class"]) == (200, "red, crimson")
    for path in ("/v1/jobs/", f"/v1/jobs/{over}/", f"/v1/jobs/{over}/results/", "/v1/hosts/"):
        assert api.get(path, follow_redirects=False).status_code == 200, path
    assert api.get("/v1//").status_code == 404


def _part(*headers: str, content: bytes) -> dict[str, Any]:
    body = b"--x\r\n" + "\r\n".join(headers).encode("latin-1") + b"\r\n\r\n" + content + b"\r\n--x--\r\n"
    return {"content": body, "headers": {"Content-Type": "multipart/form-data; boundary=x"}}


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Disposition: form-data; name=\"file\"; filename*=UTF-8''na%C3%AFve.jpg"],
        ["content-disposition: form-data; name=file; filename*=utf-8'en'a.jpg", "content-type: image/jpeg"],
        ["Content-Disposition: form-data; name=\"file\"; FILENAME*0*=UTF-8''a; filename*1=.jpg"],
        ['Content-Disposition: form-data; name="file"', "Content-Type: image/jpeg"],
        ['Content-Disposition: form-data; name="file"', "Content-Type: IMAGE/PNG; x=y"],
        ['Content-Disposition: form-data; name="file"', "Content-Type: application/octet-stream"],
        ['Content-Disposition: form-data; name="file"; filename=""', "Content-Type: image/jpeg"],
        ['Content-Disposition: form-data; name="file"; filename="a.jpg"; filename*=UTF-8\'\'b.jpg'],
    ],
)
def test_a_file_is_known_by_its_name_or_by_its_type(api: TestClient, jpeg: bytes, headers: list[str]) -> None:
    answer = api.post(_URL, **_part(*headers, content=jpeg))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("kind", ["text/plain", "text/plain; charset=utf-8", "application/json"])
def test_a_field_is_no_file_because_it_names_its_type(api: TestClient, kind: str) -> None:
    part = _part('Content-Disposition: form-data; name="note"', f"Content-Type: {kind}", content=b"{}")
    assert api.post(_URL, **part).json()["error"]["type"] == "no_image"


@pytest.mark.parametrize(
    "headers",
    [
        ['Content-Disposition: form-data; name="file"', "Content-Type: text/csv"],
        ["Content-Disposition: form-data; name=\"file\"; filename*=UTF-8''l%20%22.CSV"],
    ],
)
def test_a_list_is_known_by_its_name_or_by_its_type(
    api: TestClient, store: Store, headers: list[str]
) -> None:
    answer = api.post("/v1/jobs", **_part(*headers, content=b"url\nhttps://a.example/1.jpg\n"))
    assert answer.status_code == 202, answer.text
    record_lists(store)
    assert [item.ref for item in store.items.pending(1, 0, 9)] == ["https://a.example/1.jpg"]


def _events(text: str) -> list[tuple[str, str, str]]:
    """Return name, id and state of each event."""
    found = re.findall(r"event: (\w+)\nid: (\S+)\ndata: (.*)\n\n", text)
    return [(name, id_, json.loads(data)["state"]) for name, id_, data in found]


def test_a_stream_that_is_over_is_not_begun_again(api: TestClient, over: int) -> None:
    path = f"/v1/jobs/{over}/events"
    (job, job_id, state), (end, end_id, _) = _events(api.get(path).text)
    assert (job, end, state) == ("job", "over", "cancelled")
    # Whoever has the last event is told to stay away (https://html.spec.whatwg.org, server-sent events).
    again = api.get(path, headers={"Last-Event-ID": end_id})
    assert (again.status_code, again.content) == (204, b"")
    # Whoever has all but the last is sent the last; whoever has something else, all.
    assert [name for name, *_ in _events(api.get(path, headers={"Last-Event-ID": job_id}).text)] == ["over"]
    for other in (b"", b"x", "é".encode(), job_id[:-1].encode()):
        found = _events(api.get(path, headers={b"Last-Event-ID": other}).text)
        assert [name for name, *_ in found] == ["job", "over"]


def test_the_last_page_has_no_cursor(api: TestClient, store: Store) -> None:
    job_ids = [_submit(api, 2) for _ in range(4)]
    record_lists(store)
    for job_id in job_ids:
        api.post(f"/v1/jobs/{job_id}/cancel")
    for number in range(4):
        store.hosts.set_blocked(f"h{number}.example", True)
    lists = {
        "/v1/jobs": 4,
        "/v1/hosts": 4,
        f"/v1/jobs/{job_ids[0]}/results": 2,
        "/v1/images?url=https://a.example/1.jpg": 4,
    }
    for path, count in lists.items():
        for limit in range(1, count + 2):
            url, seen, pages, cursor = f"{path}{'&' if '?' in path else '?'}limit={limit}", 0, 0, ""
            while cursor is not None:
                page = api.get(url + (f"&cursor={cursor}" if cursor else "")).json()
                seen, pages, cursor = seen + len(page["data"]), pages + 1, page["meta"]["next_cursor"]
                assert page["data"], (path, limit)
            assert (seen, pages) == (count, -(-count // limit)), (path, limit)


def test_cancelling_twice_changes_nothing(api: TestClient, over: int) -> None:
    first = api.get(f"/v1/jobs/{over}").json()["data"]
    again = api.post(f"/v1/jobs/{over}/cancel")
    assert (again.status_code, again.json()["data"]) == (200, first)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"urls": [{"url": 1}]}, "urls.0.url"),
        ({"urls": ["https://a/", {"url": "https://a/", "id": []}]}, "urls.1.id"),
        ({"urls": [{"id": "x"}]}, "urls.0.url"),
        ({"urls": [{"url": "https://a/", "more": 1}]}, "urls.0.more"),
        ({"urls": [7]}, "urls.0"),
        ({"urls": [None]}, "urls.0"),
        ({"urls": ["https://a/"], "webhook": {"url": "https://a/", "secret": 1}}, "webhook.secret"),
        ({"urls": ["https://a/"], "max_failure_rate": "x"}, "max_failure_rate"),
        ({"urls": ["https://a/"], "body": 1}, "body"),
        ([], "body"),
    ],
)
def test_a_mistake_is_told_where_it_is(api: TestClient, body: Any, place: str) -> None:
    answer = api.post("/v1/jobs", json=body)
    message = answer.json()["error"]["message"]
    assert (answer.status_code, re.search(r"\((\S+): ", message)[1]) == (422, place), message  # type: ignore[index]


_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def _times(value: Any) -> Iterator[str]:
    """Yield whatever looks like a time in an answer."""
    if isinstance(value, dict):
        for part in value.values():
            yield from _times(part)
    elif isinstance(value, list):
        for part in value:
            yield from _times(part)
    elif isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d", value):
        yield value


def test_times_have_one_form_everywhere(api: TestClient, over: int) -> None:
    where = f"/v1/jobs/{over}"
    found = [
        *_times(api.get(where).json()),
        *_times(api.get("/v1/jobs").json()),
        *_times(api.get(f"{where}/results").json()),
        *_times(api.get(f"{where}/report").json()),
        *_times(api.get(f"{where}/summary").json()),
        *_times(api.get("/v1/images?url=https://a.example/1.jpg").json()),
    ]
    found += _times(
        [json.loads(line) for line in api.get(f"{where}/results?format=ndjson").text.splitlines()]
    )
    found += re.findall(r"\d{4}-\d\d-\d\dT[^,\"]*", api.get(f"{where}/results?format=csv").text)
    found += re.findall(r"\d{4}-\d\d-\d\dT[^,\"]*", api.get(f"{where}/events").text)
    assert len(found) > 20
    assert [time for time in found if not _TIME.fullmatch(time)] == []


def test_the_secret_of_a_lists_webhook_is_not_in_a_url(api: TestClient, store: Store) -> None:
    secret = "whsec_" + "A" * 32
    text = {"Content-Type": "text/plain"}
    hook = {"webhook_url": "https://hooks.example.com/x"}
    refused = api.post(
        "/v1/jobs", content=b"https://a/", headers=text, params=hook | {"webhook_secret": secret}
    )
    assert (refused.status_code, "SmartSight-Webhook-Secret" in refused.text) == (422, True)
    assert secret not in refused.text
    assert store.jobs.newest(None, 1) == []
    shown = text | {"SmartSight-Webhook-Secret": secret}
    for answer in (
        api.post("/v1/jobs", content=b"https://a/", headers=shown, params=hook),
        api.post(
            "/v1/jobs", data=hook | {"webhook_secret": secret}, files={"file": ("a.txt", b"https://a/")}
        ),
    ):
        assert answer.json()["data"]["webhook"]["secret"] == secret, answer.text


def test_results_are_compressed_for_who_accepts_it(api: TestClient, store: Store) -> None:
    job_id = _submit(api, 300)
    record_lists(store)
    api.post(f"/v1/jobs/{job_id}/cancel")
    for format in ("json", "ndjson", "csv", "parquet"):
        path = f"/v1/jobs/{job_id}/results?limit=300&format={format}"
        plain = api.get(path, headers={"Accept-Encoding": "identity"})
        packed = api.get(path, headers={"Accept-Encoding": "gzip"})
        assert packed.content == plain.content
        assert packed.headers.get("Content-Encoding") == (None if format == "parquet" else "gzip")


def test_pages_of_other_origins_may_read_all_our_headers(store: Store) -> None:
    documented = {
        name
        for methods in _DOCUMENT["paths"].values()
        for operation in methods.values()
        for response in operation["responses"].values()
        for name in response.get("headers", ())
    }
    assert documented <= RESPONSE_HEADERS.keys()
    with client_on(services_on(store, cors_origins=(_ORIGIN,))) as api:
        exposed = api.get("/livez", headers={"Origin": _ORIGIN}).headers["Access-Control-Expose-Headers"]
    assert set(exposed.split(", ")) == RESPONSE_HEADERS.keys()


def test_whatever_headers_of_ours_a_response_has_are_documented(api: TestClient, store: Store) -> None:
    def ask(method: str, path: str, **more: Any) -> Any:
        answer = api.request(method, path.format(job_id=1), **more)
        operation = _DOCUMENT["paths"][path.partition("?")[0]][method.lower()]
        told = operation["responses"][str(answer.status_code)].get("headers", {})
        sent = {name for name in RESPONSE_HEADERS if name in answer.headers}
        assert sent <= told.keys(), (method, path, answer.status_code)
        assert {name for name, header in told.items() if header["required"]} <= sent, (method, path)
        return answer

    submission = {"json": {"urls": ["https://a.example/1.jpg"]}, "headers": {"Idempotency-Key": "k"}}
    assert [ask("POST", "/v1/jobs", **submission).status_code for _ in range(2)] == [202, 202]
    record_lists(store)
    tag = ask("GET", "/v1/jobs/{job_id}").headers["ETag"]
    assert ask("GET", "/v1/jobs/{job_id}", headers={"If-None-Match": tag}).status_code == 304
    ask("POST", "/v1/jobs/{job_id}/cancel")
    for format in ("json", "ndjson", "csv", "parquet"):
        ask("GET", "/v1/jobs/{job_id}/results?format=" + format)
    for path in ("report", "summary", "events"):
        ask("GET", f"/v1/jobs/{{job_id}}/{path}")
    ask("GET", "/v1/hosts")
    ask("DELETE", "/v1/jobs/{job_id}")
    assert ask("GET", "/v1/jobs/{job_id}").status_code == 404


@pytest.fixture
def prefixed(store: Store) -> Iterator[TestClient]:
    """A service below a path, which asks for keys."""
    settings = {"root_path": "/labels", "trusted_proxies": (ip_network("192.0.2.7"),)}
    around = Surroundings(wanted=KeysRequired.ALWAYS)
    with client_on(services_on(store, around, **settings)) as client:
        client.base_url = "https://labels.example.com"  # type: ignore[assignment]
        yield client


def test_below_a_path_everything_has_it(prefixed: TestClient, store: Store) -> None:
    key = make_key()
    store.keys.add(digest_of(key), ending_of(key), Grant("x", ("admin",), rate=1000, burst=1000))
    shown = {"Authorization": f"Bearer {key}"}
    for sent_as in ("", "/labels"):  # stripped by the proxy, or passed on
        answer = prefixed.post(f"{sent_as}/v1/jobs", json={"urls": ["https://a/"]}, headers=shown)
        job = answer.json()["data"]
        assert answer.headers["Location"] == f"/labels/v1/jobs/{job['id']}"
        assert {link.split("/v1/")[0] for link in job["links"].values()} == {"/labels"}
        again = prefixed.get(answer.headers["Location"], headers=shown)
        assert again.json()["data"]["links"] == job["links"]
        missing = prefixed.get(f"{sent_as}/v1/nothing").json()["error"]
        assert missing["url"] == "https://labels.example.com/labels/docs/errors#not_found"
        document = prefixed.get(f"{sent_as}/openapi.json").json()
        assert [server["url"] for server in document["servers"]] == ["/labels"]
        page = prefixed.get(f"{sent_as}/docs")
        for link in re.findall(r'(?:src|href)="([^"#:]+)"', page.text):
            assert prefixed.get(f"{sent_as}/{link}").status_code == (401 if link == "jobs" else 200), link


def test_the_keys_cookie_is_for_the_path(prefixed: TestClient, store: Store) -> None:
    key = make_key()
    store.keys.add(digest_of(key), ending_of(key), Grant("x", ("read",), rate=1000, burst=1000))
    form = {"data": {"key": key, "next": "/jobs"}, "headers": {"Origin": "https://labels.example.com"}}
    answer = prefixed.post("/labels/key", **form, follow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (303, "./jobs")
    assert "Path=/labels/;" in answer.headers["Set-Cookie"]
    assert "Secure" in answer.headers["Set-Cookie"]
    # The host may have another service of ours, whose cookie is for all paths.
    prefixed.cookies.set("smartsight_key", make_key(), domain="labels.example.com", path="/")
    assert prefixed.get("/labels/jobs").status_code == 200
    gone = prefixed.post("/labels/key/forget", headers=form["headers"], follow_redirects=False)
    assert gone.headers["Location"] == "../key"
    assert prefixed.get("/labels/jobs").status_code == 401


def test_a_key_form_behind_a_hosts_default_says_what_to_set(api: TestClient) -> None:
    headers = {"Host": "127.0.0.1:8000", "Origin": "https://labels.example.com"}
    answer = api.post("/key", data={"key": "x"}, headers=headers)
    assert answer.status_code == 403
    for words in ("127.0.0.1:8000", "labels.example.com", "SMARTSIGHT_TRUSTED_PROXIES", "X-Forwarded-Host"):
        assert words in answer.text


def test_without_keys_a_proxy_opens_nothing(store: Store) -> None:
    services = services_on(store, trusted_proxies=(ip_network("192.0.2.7/32"),))
    with client_on(services) as api:
        for client, status in (("203.0.113.9", 403), ("127.0.0.1", 200)):
            headers = {"X-Forwarded-For": client, "Host": "127.0.0.1:8000"}
            assert _forwarded(api, "/v1/jobs", headers).status_code == status


def test_a_rebound_name_does_not_become_ours_by_what_it_says(store: Store) -> None:
    """A page of a name that was made to lead here can send any header, as it is of our origin."""
    with client_on(services_on(store, trusted_proxies=(ip_network("192.0.2.7/32"),))) as api:
        for host, status in (("rebound.example", 403), ("127.0.0.1:8000", 200)):
            headers = {"Host": host, "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "localhost"}
            assert _forwarded(api, "/v1/jobs", headers).status_code == status


def _forwarded(api: TestClient, path: str, headers: dict[str, str]) -> Any:
    """Ask as the trusted proxy does."""
    with TestClient(api.app, "http://127.0.0.1:8000", client=("192.0.2.7", 1)) as proxy:
        return proxy.get(path, headers=headers)
