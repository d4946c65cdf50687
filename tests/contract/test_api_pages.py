"""The pages of jobs: what they show, to whom, and that nothing of a stranger's becomes markup."""

import re
from base64 import b64encode
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from fastapi.testclient import TestClient

from results_api.access import KeysRequired
from results_api.api_keys import digest_of, ending_of, make_key
from results_api.cursors import encode_cursor
from results_api.service.pages import jobs
from results_api.service.pages.rendering import POLICY, REPORT_POLICY
from shared.errors import Code
from shared.items import Evidence, Item, ItemState, Result, now
from shared.store.store import Grant, Job, RecordedModel, Store
from tests.contract.api import Surroundings, client_on, record_lists, services_on

_HOSTILE = "\"><script>alert(1)</script>'\u2028 & \x1b[31m"
#: As it may stand in a page.
_HARMLESS = "&lt;script&gt;alert(1)&lt;/script&gt;"
_CONTENT = b"what the model saw"
_SHA256 = "ca" * 32
_PAGES = ("", "?state=failed", "/status", "/classes", "/report")


@pytest.fixture
def model(store: Store) -> RecordedModel:
    return store.models.record("lite0", "1", [("n1", "cat"), ("n2", f"dog {_HOSTILE}"), ("n3", "crane")])


def _labelled(job: Job, index: int, class_id: int = 0, score: float = 0.75, **more: Any) -> Result:
    evidence = Evidence(640, 480, "JPEG", 10, _SHA256, "a.example", "http://a.example/", 200)
    state, labels = ItemState.SUCCEEDED, ((class_id,), (score,))
    return Result(job.id, index, state, now(), 1, job.model_id, *labels, evidence=evidence, **more)


def _failed(job: Job, index: int, code: Code = Code.HTTP_404, detail: str = "") -> Result:
    state, evidence = ItemState.FAILED, Evidence(host="b.example")
    return Result(job.id, index, state, now(), 1, job.model_id, (), (), code, detail, evidence)


def _record(store: Store, job: Job, *refs: str) -> None:
    store.items.add([Item(job.id, index, ref) for index, ref in enumerate(refs)])
    store.jobs.mark_recorded(job.id)


@pytest.fixture
def full(store: Store, model: RecordedModel) -> Job:
    """A job that is over: three labelled, two that failed, of which one may be tried again."""
    job = store.jobs.open("full", model.id, "Spring crawl")
    _record(store, job, *(f"http://a.example/{index}.jpg" for index in range(5)))
    store.results.save([_labelled(job, 0, thumbnail=_CONTENT), _labelled(job, 1), _labelled(job, 2, 2, 0.25)])
    store.results.save([_failed(job, 3), _failed(job, 4, Code.CONNECT_TIMEOUT)])
    assert store.jobs.complete(job.id)
    return store.jobs.get(job.id)


@pytest.fixture
def hostile(store: Store, model: RecordedModel) -> Job:
    """A job of which every word is a stranger's."""
    job = store.jobs.open("hostile", model.id, _HOSTILE)
    store.items.add([Item(job.id, index, f"http://x/{_HOSTILE}", _HOSTILE) for index in range(2)])
    store.items.add([Item(job.id, 2, "javascript:alert(1)")])
    store.jobs.mark_recorded(job.id)
    store.results.save(
        [_labelled(job, 0, 1), _failed(job, 1, Code.NOT_AN_IMAGE, _HOSTILE), _labelled(job, 2)]
    )
    assert store.jobs.complete(job.id)
    return store.jobs.get(job.id)


def _text(page: str) -> str:
    """Return what a person reads of a page."""
    return " ".join(unescape(re.sub(r"<script.*?</script>|<[^>]*>", " ", page, flags=re.DOTALL)).split())


def _indexes(page: str) -> list[int]:
    return [int(number) for number in re.findall(r"#(\d+)(?= ·|<| *</p>)", page.partition('id="found"')[2])]


def _shown(api: TestClient, job: Job, query: str = "") -> str:
    answer = api.get(f"/jobs/{job.id}{query}")
    assert answer.status_code == 200, answer.text
    return answer.text


@pytest.mark.both_databases
def test_a_job_is_shown_with_its_counts_and_causes(api: TestClient, full: Job) -> None:
    page = _text(_shown(api, full))
    assert "Spring crawl" in page
    assert "Completed" in page
    assert "5 of 5 images" in page
    assert "3 succeeded 60 %" in page
    assert "2 failed 40 %" in page
    for code in (Code.HTTP_404, Code.CONNECT_TIMEOUT):
        assert code.sentence in page
    assert "cat 0.75" in page


@pytest.mark.both_databases
def test_what_the_model_saw_is_in_the_page_itself(api: TestClient, full: Job) -> None:
    page = _shown(api, full)
    images = re.findall(r'<img src="(data:[^"]*)"', page)
    assert images == 3 * [f"data:image/jpeg;base64,{b64encode(_CONTENT).decode()}"]
    assert page.count("no thumbnail") == 2


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("query", "indexes"),
    [
        ("", [0, 1, 2, 3, 4]),
        ("?class=&state=&code=&host=&min_score=", [0, 1, 2, 3, 4]),
        ("?state=failed", [3, 4]),
        ("?code=connect_timeout", [4]),
        ("?class=cat&min_score=0.5", [0, 1]),
        ("?class=n3", [2]),
        ("?host=b.example&class=", [3, 4]),
        ("?state=skipped", []),
    ],
)
def test_results_are_those_that_the_form_asks_for(
    api: TestClient, full: Job, query: str, indexes: list[int]
) -> None:
    assert _indexes(_shown(api, full, query)) == indexes


def test_the_form_shows_what_was_asked_for_and_exports_lead_to_the_same_rows(
    api: TestClient, full: Job
) -> None:
    page = _shown(api, full, "?class=cat&min_score=0.3&state=succeeded")
    assert 'name="class" maxlength="200" value="cat"' in page
    assert re.findall(r'<option value="([^"]*)" selected>', page) == ["0.3", "succeeded"]
    (link,) = re.findall(r'href="\.\./(v1/[^"]*format=csv)"', page)
    rows = api.get(f"/{unescape(link)}").text.splitlines()
    assert [row.partition(",")[0] for row in rows] == ["index", "0", "1"]


@pytest.mark.parametrize(
    ("query", "status", "sentence"),
    [
        ("?class=platypus", 422, Code.CLASS_UNKNOWN.sentence),
        ("?host=/", 422, Code.HOST_INVALID.sentence),
        ("?min_score=2", 422, Code.REQUEST_INVALID.sentence),
        ("?colour=red", 422, Code.REQUEST_INVALID.sentence),
        ("?cursor=nonsense", 400, Code.CURSOR_INVALID.sentence),
    ],
)
def test_a_filter_that_means_nothing_is_told_beside_the_form(
    api: TestClient, full: Job, query: str, status: int, sentence: str
) -> None:
    answer = api.get(f"/jobs/{full.id}{query}")
    assert answer.status_code == status
    assert sentence in _text(answer.text)
    assert 'id="class"' in answer.text


@pytest.mark.both_databases
def test_pages_of_results_follow_one_another(api: TestClient, store: Store, job: Job) -> None:
    count = 100
    _record(store, job, *(f"http://a.example/{index}.jpg" for index in range(count)))
    store.results.save([_labelled(job, index) for index in range(count)])
    seen: list[int] = []
    query: str | None = "?state=succeeded"
    while query is not None:
        page = _shown(api, job, query)
        seen += _indexes(page)
        links = re.findall(r'id="next" href="[^"?]*([^"#]*)#results"', page)
        assert len(links) <= 1
        query = unescape(links[0]) if links else None
    assert seen == list(range(count))


def test_a_page_without_results_may_have_a_next_one_and_says_so(
    api: TestClient, store: Store, job: Job
) -> None:
    count = 6000
    _record(store, job, *(f"{index}.jpg" for index in range(count)))
    store.results.save([_labelled(job, index) for index in range(count - 1)])
    store.results.save([_labelled(job, count - 1, score=0.99)])
    page = _shown(api, job, "?min_score=0.9")
    assert (_indexes(page), 'id="next"' in page) == ([], True)
    assert "The next page searches more" in page


def test_classes_are_counted_apart_and_lead_to_their_results(
    api: TestClient, store: Store, full: Job
) -> None:
    assert "2 of" not in _text(_shown(api, full))
    part = api.get(f"/jobs/{full.id}/classes").text
    assert "cat 2 crane 1 3 labelled images in 2 classes." in _text(part)
    (link, _) = re.findall(r'href="\.\./jobs/\d+(\?[^"#]*)#results"', part)
    assert _indexes(_shown(api, full, unescape(link))) == [0, 1]


def test_what_waits_for_another_try_is_shown_and_can_be_given_up(
    api: TestClient, store: Store, model: RecordedModel
) -> None:
    job = store.jobs.open("waits", model.id)
    _record(store, job, "a", "b")
    store.workers.note("a worker", None)
    store.retries.add(_failed(job, 0, Code.HTTP_5XX), 3600, 7200)
    store.retries.add(_failed(job, 1, Code.HTTP_5XX), 3600, 7200)
    page = api.get(f"/jobs/{job.id}/status").text
    assert re.search(r"2 images wait for another try at .* UTC \(http_5xx, b.example\)\.", _text(page))
    assert "the last of them ends by " in _text(page)
    assert f'data-url="../v1/jobs/{job.id}/give-up"' in page
    assert "Give up 2 waiting" in page
    assert "2 images wait for another try at " in _text(api.get("/jobs").text)
    assert "2 images wait for another try at " in _text(api.get(f"/jobs/{job.id}/report").text)
    assert not any("is one running" in api.get(path).text for path in ("/jobs", f"/jobs/{job.id}/report"))
    store.workers.remove("a worker")
    assert "is one running?" in api.get(f"/jobs/{job.id}/status").text


def _tone(page: str) -> str:
    (tone,) = re.findall(r'class="state (\w+)"', page)
    return str(tone)


def test_a_job_whose_images_all_failed_is_not_shown_as_a_success(
    api: TestClient, store: Store, model: RecordedModel
) -> None:
    job = store.jobs.open("bad", model.id)
    _record(store, job, "a", "b")
    store.results.save([_failed(job, 0), _failed(job, 1)])
    assert store.jobs.complete(job.id)
    for path in ("/jobs", f"/jobs/{job.id}", f"/jobs/{job.id}/status", f"/jobs/{job.id}/report"):
        page = api.get(path).text
        assert _tone(page) == "bad", path
        assert "All failed" in _text(page), path
    assert '<rect class="failed" x="0.0" width="100.0"' in api.get("/jobs").text


def test_a_job_of_which_some_images_failed_is_not_green(api: TestClient, full: Job) -> None:
    for path in ("/jobs", f"/jobs/{full.id}", f"/jobs/{full.id}/report"):
        assert _tone(api.get(path).text) == "mixed", path


def test_the_number_of_a_job_stands_once_beside_its_title(
    api: TestClient, store: Store, model: RecordedModel, full: Job
) -> None:
    unnamed = store.jobs.open("unnamed", model.id)
    for path in (f"/jobs/{unnamed.id}", f"/jobs/{unnamed.id}/report"):
        above, _, _ = api.get(path).text.partition("<section")
        assert _text(above.partition("<h1")[2]).count(f"Job {unnamed.id}") == 1, path
    card = api.get("/jobs").text.partition('<ol class="jobs">')[2].partition("</li>")[0]
    assert _text(card).count(f"Job {unnamed.id}") == 1
    assert f"Job {full.id} · " in _text(_shown(api, full))


def test_while_no_image_has_a_label_the_classes_are_counted_again_and_again(
    api: TestClient, store: Store, model: RecordedModel
) -> None:
    job = store.jobs.open("young", model.id)
    _record(store, job, "a", "b")
    part = api.get(f"/jobs/{job.id}/classes").text
    assert 'data-when="change end"' in part
    assert "No image had a label at " in part
    store.results.save([_labelled(job, 0)])
    part = api.get(f"/jobs/{job.id}/classes").text
    assert 'data-when="end"' in part
    assert re.search(r"1 labelled images in 1 classes. Counted at \d\d:\d\d:\d\d UTC.", part)


def test_two_classes_of_one_name_are_told_apart(api: TestClient, store: Store) -> None:
    model = store.models.record("cranes", "1", [("n1", "crane"), ("n2", "crane")])
    job = store.jobs.open("cranes", model.id)
    _record(store, job, "a", "b", "c")
    store.results.save([_labelled(job, 0, 0), _labelled(job, 1, 0), _labelled(job, 2, 1)])
    part = api.get(f"/jobs/{job.id}/classes").text
    links = re.findall(r'href="\.\./jobs/\d+(\?[^"#]*)#results"', part)
    assert [_indexes(_shown(api, job, unescape(link))) for link in links] == [[0, 1], [2]]


def test_parts_are_those_of_the_page_and_lead_where_it_leads(api: TestClient, full: Job) -> None:
    page, part = _shown(api, full), api.get(f"/jobs/{full.id}/status").text
    assert part.strip() in page


@pytest.mark.parametrize("path", _PAGES)
def test_nothing_of_a_stranger_becomes_markup(api: TestClient, hostile: Job, path: str) -> None:
    page = _shown(api, hostile, path)
    assert "alert(1)</script>" not in page
    assert "javascript:alert" not in re.sub(">[^<]*<", "><", page)
    assert not re.search("[\x1b\u2028]", page)
    assert "\"'" not in page


def test_a_stranger_is_still_quoted_word_for_word(api: TestClient, hostile: Job) -> None:
    for path in ("", "/classes"):
        assert _HARMLESS in _shown(api, hostile, path)
    assert _HARMLESS in api.get("/jobs").text
    assert "javascript:alert(1)" in _text(_shown(api, hostile))


def test_only_web_addresses_are_links_and_tell_nothing_of_us(
    api: TestClient, full: Job, hostile: Job
) -> None:
    links = re.findall(r'<p class="ref"><a ([^>]*)>', _shown(api, full))
    assert links[0] == 'id="image-0" href="http://a.example/0.jpg" rel="noopener noreferrer nofollow"'
    assert "<a" not in "".join(re.findall(r'<p class="ref">(.*?)</p>', _shown(api, hostile)))


def test_no_picture_comes_from_a_strangers_host(api: TestClient, full: Job) -> None:
    for place in re.findall(r'src="([^"]*)"', _shown(api, full)):
        assert place.startswith(("data:image/jpeg;base64,", "../static/"))


@pytest.mark.parametrize("path", ["", "/status", "/classes"])
def test_pages_have_the_strict_policy_and_are_not_stored(api: TestClient, full: Job, path: str) -> None:
    headers = api.get(f"/jobs/{full.id}{path}").headers
    assert (headers["Content-Security-Policy"], headers["Cache-Control"]) == (POLICY, "no-store")
    assert "'unsafe" not in POLICY
    # "no-referrer" would take the origin from our own forms, too.
    assert headers["Referrer-Policy"] == "same-origin"


def test_a_large_job_says_that_its_report_takes_a_while(
    api: TestClient, full: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    notice = "The report reads every result"
    assert notice not in _text(api.get(f"/jobs/{full.id}").text)
    monkeypatch.setattr(jobs, "_MANY", 5)
    assert notice in _text(api.get(f"/jobs/{full.id}").text)


@pytest.mark.both_databases
def test_the_report_has_styles_but_no_script(api: TestClient, full: Job) -> None:
    answer = api.get(f"/jobs/{full.id}/report")
    assert answer.headers["Content-Security-Policy"] == REPORT_POLICY
    assert "script" not in REPORT_POLICY
    assert "<script" not in answer.text
    assert "Spring crawl" in answer.text


@pytest.mark.parametrize("path", _PAGES)
@pytest.mark.parametrize(("number", "status"), [("404", 404), ("x", 422), ("0", 422), (str(2**63), 422)])
def test_a_job_that_there_is_not_is_told_on_a_page(
    api: TestClient, path: str, number: str, status: int
) -> None:
    answer = api.get(f"/jobs/{number}{path}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert 'role="alert"' in answer.text


def test_lines_without_a_url_are_told_by_number(api: TestClient, store: Store) -> None:
    job = api.post("/v1/jobs", json={"urls": ["a/path.jpg", "http://a.example/1.jpg", ""]}).json()["data"]
    record_lists(store)
    page = _text(api.get(f"/jobs/{job['id']}").text)
    assert "Lines without a URL: 2" in page
    assert "Line 1:" in page
    assert "Line 3:" in page


@pytest.mark.both_databases
def test_jobs_are_listed_newest_first_over_pages(api: TestClient, store: Store, model: RecordedModel) -> None:
    made = [store.jobs.open(f"key {number}", model.id).id for number in range(45)]
    seen: list[int] = []
    path: str | None = "/jobs"
    while path is not None:
        page = api.get(path).text
        seen += [int(number) for number in re.findall(r'id="job-(\d+)"', page)]
        links = re.findall(r'id="older" href="([^"]*)"', page)
        path = f"/{unescape(links[0])}" if links else None
    assert seen == made[::-1]


def test_without_jobs_the_page_says_so(api: TestClient) -> None:
    page = api.get("/jobs")
    assert "There are no jobs yet." in page.text
    assert 'id="submit"' in page.text
    assert api.get("/jobs?cursor=nonsense").status_code == 400
    assert "There are no older jobs." in api.get(f"/jobs?cursor={encode_cursor(1)}").text


def _buttons(page: str) -> set[str]:
    return {unescape(name) for name in re.findall(r'<button id="([^"]*)"[^>]* data-url', page)}


def test_buttons_are_those_that_the_state_allows(
    api: TestClient, store: Store, full: Job, model: RecordedModel
) -> None:
    assert _buttons(_shown(api, full)) == {"retry", "retry-http_404", "retry-connect_timeout", "delete"}
    job = store.jobs.open("running", model.id)
    _record(store, job, "http://a.example/1.jpg")
    assert _buttons(_shown(api, job)) == {"cancel"}
    store.jobs.pause(job.id, "too many fail")
    page = _shown(api, job)
    assert _buttons(page) == {"cancel", "resume"}
    assert "Paused: too many fail" in _text(page)
    store.jobs.cancel(job.id)
    assert _buttons(_shown(api, job)) == set()


@pytest.fixture
def keyed(store: Store, around: Surroundings) -> Iterator[TestClient]:
    """A client of a service that wants keys."""
    around.wanted = KeysRequired.ALWAYS
    with client_on(services_on(store, around)) as client:
        yield client


def _key(store: Store, *scopes: str) -> dict[str, str]:
    """Make a key, and return the header that brings it."""
    key = make_key()
    store.keys.add(digest_of(key), ending_of(key), Grant("desk", scopes, rate=1000, burst=1000))
    return {"Authorization": f"Bearer {key}"}


def test_who_may_only_read_sees_no_buttons_and_no_form(keyed: TestClient, store: Store, full: Job) -> None:
    assert full.key_id is None
    admin = _key(store, "admin")
    job = keyed.post("/v1/jobs", json={"urls": ["http://a.example/1.jpg"]}, headers=admin).json()["data"]
    assert _buttons(keyed.get(f"/jobs/{job['id']}", headers=admin).text) == {"cancel"}
    reader = _key(store, "read")
    page = keyed.get("/jobs", headers=reader)
    assert (page.status_code, 'id="submit"' in page.text) == (200, False)


@pytest.mark.parametrize("path", _PAGES)
def test_the_job_of_another_is_not_there(keyed: TestClient, store: Store, path: str) -> None:
    owner = _key(store, "read", "submit")
    job = keyed.post("/v1/jobs", json={"urls": ["http://a.example/1.jpg"]}, headers=owner).json()["data"]
    stranger = _key(store, "read", "submit")
    answers = [keyed.get(f"/jobs/{job['id']}{path}", headers=headers) for headers in (owner, stranger)]
    assert [answer.status_code for answer in answers] == [200, 404]
    assert f'id="job-{job["id"]}"' in keyed.get("/jobs", headers=owner).text
    assert f'id="job-{job["id"]}"' not in keyed.get("/jobs", headers=stranger).text


@pytest.mark.parametrize("path", ["/jobs", *(f"/jobs/1{path}" for path in _PAGES)])
def test_without_a_key_every_page_asks_for_one(keyed: TestClient, path: str) -> None:
    answer = keyed.get(path)
    assert answer.status_code == 401
    assert f'name="next" value="{path.partition("?")[0]}"' in answer.text


def test_a_key_that_may_not_read_is_told_so(keyed: TestClient, store: Store) -> None:
    headers = _key(store, "classify")
    answer = keyed.get("/jobs", headers=headers)
    assert (answer.status_code, 'id="key"' in answer.text) == (403, True)


_BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    "path", ["/nowhere", "/jobs/1/nowhere", "/v1/nowhere", "/static/nowhere.js", "/a%0d%0ab/c"]
)
def test_a_browser_at_an_unknown_address_gets_a_page_and_a_program_json(path: str, api: TestClient) -> None:
    page = api.get(path, headers={"Accept": _BROWSER})
    assert (page.status_code, page.headers["Content-Security-Policy"]) == (404, POLICY)
    assert page.headers["Content-Type"].startswith("text/html")
    assert "There is nothing at this URL." in _text(page.text)
    for accept in ("*/*", "application/json"):
        answer = api.get(path, headers={"Accept": accept})
        assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found")


def test_no_two_landmarks_of_a_page_have_the_same_name(api: TestClient, full: Job) -> None:
    page = api.get(f"/jobs/{full.id}").text
    named = re.findall(
        r'<(?:section|nav|div role="region"|div [^>]*role="region")[^>]*aria-label(?:ledby)?="([^"]+)"', page
    )
    assert len(named) > 3
    assert len(set(named)) == len(named)
