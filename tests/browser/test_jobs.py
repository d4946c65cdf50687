"""The pages of jobs in a real browser: submit, watch, look through, control."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, Route, expect

from shared.classifier.model import Model
from shared.errors import Code
from tests.browser.conftest import DESK, Screenshot, Service, serving, settings_for
from tests.conftest import SAMPLES
from tests.servers.pictures import PictureServer

#: Milliseconds; longer than any of these jobs takes.
_PATIENCE = 60_000
_VARIETY = 60
_HOSTILE = "<img src=x onerror=alert(1)> \"' & </h1><script>alert(2)</script>"

Check = Callable[[Page], None]


@pytest.fixture(scope="module")
def service(lite0: Model, cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`smartsight up` without keys, with as different pictures as there are."""
    folder = tmp_path_factory.mktemp("service")
    with (
        closing(PictureServer(_pictures(tmp_path_factory.mktemp("pictures")))) as pictures,
        serving(folder, cache_dir, pictures) as url,
    ):
        yield Service(url, pictures)


def _pictures(folder: Path) -> Path:
    """Return a folder with pictures of many classes if there is one, or else our samples."""
    found = sorted((Path(os.environ.get("SMARTSIGHT_TEST_DATA", "")) / "imagenet-sample").glob("*.jpg"))
    if not found:
        return SAMPLES
    for file in found[:: len(found) // _VARIETY][:_VARIETY]:
        (folder / file.name).symlink_to(file)
    return folder


@pytest.fixture
def quiet(desk: Page) -> Iterator[Page]:
    """A page on a desk whose console says nothing in the end: no error, no breach of its policy."""
    said: list[str] = []
    desk.on("console", lambda message: said.append(message.text))
    desk.on("pageerror", lambda error: said.append(str(error)))
    desk.on("dialog", lambda dialog: said.append(dialog.message))
    yield desk
    assert said == []


def _paste(page: Page, urls: list[str], name: str = "") -> None:
    """Hand in a job, and be led to its page."""
    page.goto("/jobs")
    page.get_by_label("Image URLs").fill("\n".join(urls))
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url(re.compile(r"/jobs/\d+$"))


def _wait_for(page: Page, state: str) -> None:
    expect(page.locator("#status .state")).to_have_text(state, timeout=_PATIENCE)


def _finish(page: Page, service: Service, failures: int = 3, name: str = "") -> None:
    """Hand in a small job, and wait for its end."""
    pictures = service.pictures
    _paste(page, [*pictures.urls("pictures", 8), *pictures.urls("missing", failures)], name)
    _wait_for(page, "Completed")


def _indexes(page: Page) -> list[int]:
    return [int(text.partition("#")[2].split()[0]) for text in page.locator(".tile .small").all_inner_texts()]


def _uneven(pictures: PictureServer, count: int) -> list[str]:
    """Return URLs of pictures, some of which come more often than others, as in any crawl."""
    return [pictures.url("pictures", number * number % 97) for number in range(count)]


def test_a_pasted_list_is_watched_to_its_end(
    quiet: Page, service: Service, screenshot: Screenshot, check_accessible: Check
) -> None:
    pictures = service.pictures
    trouble = [*pictures.urls("missing", 5), *pictures.urls("broken", 3)]
    _paste(quiet, [*_uneven(pictures, 100), *trouble, "no URL"], "Spring crawl")
    _wait_for(quiet, "Completed")
    expect(quiet.get_by_role("heading", level=1)).to_have_text("Spring crawl")
    expect(quiet.locator(".counts .failed")).to_contain_text("8 failed")
    quiet.locator("#malformed summary").click()
    expect(quiet.locator("#malformed li")).to_contain_text("Line 109")
    expect(quiet.locator("#classes .in-all")).to_contain_text("100 labelled images")
    expect(quiet.locator(".tile img")).to_have_count(48)
    quiet.reload()
    expect(quiet.locator("#classes .in-all")).to_contain_text("100 labelled images")
    for scheme in ("light", "dark"):
        quiet.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        check_accessible(quiet)
        screenshot(quiet, "desk-job" if scheme == "light" else "desk-job-dark")


def test_a_list_is_chosen_as_a_file(quiet: Page, service: Service) -> None:
    rows = "".join(f"{url},mine-{index}\n" for index, url in enumerate(service.pictures.urls("pictures", 3)))
    quiet.goto("/jobs")
    content = f"image,key\n{rows}".encode()
    list_ = FilePayload(name="list.csv", mimeType="text/csv", buffer=content)
    quiet.get_by_label("Or upload a list").set_input_files([list_])
    quiet.get_by_role("button", name="Submit").click()
    quiet.wait_for_url(re.compile(r"/jobs/\d+$"))
    expect(quiet.locator("#status .state")).to_contain_text(Code.COLUMN_UNKNOWN.sentence)
    quiet.go_back()
    quiet.get_by_label("Or upload a list").set_input_files([list_])
    quiet.get_by_text("More", exact=True).click()
    quiet.get_by_label("URL column").fill("image")
    quiet.get_by_label("Column with your own ids").fill("key")
    quiet.get_by_role("button", name="Submit").click()
    quiet.wait_for_url(re.compile(r"/jobs/\d+$"))
    _wait_for(quiet, "Completed")
    expect(quiet.locator(".tile").nth(2)).to_contain_text("mine-2")


_DROP = """content => {
    const dropped = new DataTransfer();
    dropped.items.add(new File([content], "list.txt", { type: "text/plain" }));
    const event = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: dropped });
    document.getElementById("new").dispatchEvent(event);
}"""


def test_a_list_is_dropped(quiet: Page, service: Service) -> None:
    quiet.goto("/jobs")
    quiet.evaluate(_DROP, "\n".join(service.pictures.urls("pictures", 3)))
    expect(quiet.get_by_label("Image URLs")).to_be_disabled()
    quiet.get_by_role("button", name="Submit").click()
    quiet.wait_for_url(re.compile(r"/jobs/\d+$"))
    _wait_for(quiet, "Completed")
    expect(quiet.locator(".counts .succeeded")).to_contain_text("3 succeeded")


_DRAG_TEXT = """() => {
    const dragged = new DataTransfer();
    dragged.setData("text/plain", "https://example.com/a.jpg");
    return ["dragover", "drop"].map((type) => document.getElementById("urls").dispatchEvent(
        new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: dragged })));
}"""


def test_a_text_that_is_dragged_is_left_to_the_browser(quiet: Page) -> None:
    quiet.goto("/jobs")
    quiet.wait_for_load_state("load")
    assert quiet.evaluate(_DRAG_TEXT) == [True, True]
    expect(quiet.locator("#new")).not_to_have_class(re.compile("dropping"))


def test_a_file_is_taken_back(quiet: Page, service: Service, check_accessible: Check) -> None:
    url = service.pictures.url("pictures", 1)
    quiet.goto("/jobs")
    expect(quiet.get_by_role("button", name="Remove the file")).to_be_hidden()
    quiet.get_by_label("Image URLs").fill(url)
    quiet.evaluate(_DROP, "chosen by mistake")
    check_accessible(quiet)
    quiet.get_by_role("button", name="Remove the file").click()
    expect(quiet.get_by_role("button", name="Remove the file")).to_be_hidden()
    expect(quiet.get_by_label("Or upload a list")).to_be_focused()
    expect(quiet.get_by_label("Image URLs")).to_be_enabled()
    quiet.get_by_role("button", name="Submit").click()
    quiet.wait_for_url(re.compile(r"/jobs/\d+$"))
    expect(quiet.locator(".ref")).to_have_text(url, timeout=_PATIENCE)


def test_what_is_wrong_in_closed_details_is_shown(quiet: Page) -> None:
    quiet.goto("/jobs")
    quiet.get_by_text("More", exact=True).click()
    quiet.get_by_label("Pause when more than").fill("150")
    quiet.get_by_text("More", exact=True).click()
    expect(quiet.get_by_label("Pause when more than")).to_be_hidden()
    quiet.get_by_label("Image URLs").fill("https://example.com/a.jpg")
    quiet.get_by_role("button", name="Submit").click()
    expect(quiet.get_by_label("Pause when more than")).to_be_focused()


def test_back_at_the_form_a_file_that_is_still_chosen_goes_before_the_urls(
    quiet: Page, tmp_path: Path
) -> None:
    list_ = tmp_path / "list.txt"
    list_.write_text("nonsense")
    quiet.goto("/jobs")
    quiet.get_by_label("Or upload a list").set_input_files(list_)
    quiet.get_by_role("button", name="Submit").click()
    quiet.wait_for_url(re.compile(r"/jobs/\d+$"))
    quiet.go_back()
    chosen = quiet.evaluate("document.getElementById('file').files.length") > 0
    expect(quiet.get_by_label("Image URLs")).to_be_enabled(enabled=not chosen)
    expect(quiet.get_by_role("button", name="Remove the file")).to_be_visible(visible=chosen)


def test_a_job_that_paused_goes_on_when_it_is_told_to(quiet: Page, service: Service) -> None:
    quiet.goto("/jobs")
    quiet.get_by_label("Image URLs").fill("\n".join(service.pictures.urls("missing", 150)))
    quiet.get_by_text("More", exact=True).click()
    quiet.get_by_label("Pause when more than").fill("10")
    quiet.get_by_role("button", name="Submit").click()
    expect(quiet.locator("#status .state")).to_contain_text("Paused", timeout=_PATIENCE)
    quiet.get_by_role("button", name="Resume").click()
    _wait_for(quiet, "All failed")
    expect(quiet.locator(".counts .failed")).to_contain_text("150 failed")


def test_nothing_is_not_handed_in(quiet: Page) -> None:
    quiet.goto("/jobs")
    quiet.get_by_role("button", name="Submit").click()
    expect(quiet.get_by_role("alert")).to_have_text("Paste URLs or choose a list.")
    expect(quiet.get_by_label("Image URLs")).to_be_focused()


def _hasten(route: Route) -> None:
    """Answer with a page that looks at what it shows more often."""
    answer = route.fetch()
    route.fulfill(response=answer, body=answer.text().replace('data-every="2"', 'data-every="0.1"'))


def test_a_page_outlives_a_silent_stream_and_an_answer_that_never_comes(
    quiet: Page, service: Service
) -> None:
    asked: list[Route] = []

    def answer_but_the_first(route: Route) -> None:
        asked.append(route)
        if len(asked) > 1:
            _hasten(route)

    quiet.route(re.compile(r"/jobs/\d+$"), _hasten)
    quiet.route("**/status", answer_but_the_first)
    quiet.route("**/events", lambda route: None)
    _paste(quiet, service.pictures.urls("slow", 30))
    expect(quiet.locator("#said")).to_have_text("The server is not responding.", timeout=_PATIENCE)
    _wait_for(quiet, "Completed")
    expect(quiet.locator("#said")).to_have_text("The job is now: Completed")
    quiet.unroute_all(behavior="ignoreErrors")


def test_a_refused_look_is_told_as_what_it_is(desk: Page, service: Service) -> None:
    desk.route("**/status", lambda route: route.fulfill(status=429))
    _paste(desk, service.pictures.urls("slow", 30))
    expect(desk.locator("#said")).to_have_text("The server responded with status 429.")
    desk.unroute("**/status")
    _wait_for(desk, "Completed")
    expect(desk.locator("#said")).to_have_text("The job is now: Completed")


def test_a_filter_that_fails_says_why_and_the_job_is_followed_on(desk: Page, service: Service) -> None:
    _paste(desk, service.pictures.urls("slow", 30))
    desk.goto(f"{desk.url}?class=qwertz")
    expect(desk.locator("#found .alert")).to_contain_text("qwertz")
    _wait_for(desk, "Completed")
    expect(desk.locator("#found .alert")).to_contain_text("qwertz")
    expect(desk.locator("#classes .in-all")).to_contain_text("30 labelled images")
    expect(desk.locator("#said")).to_have_text("The job is now: Completed")


def _press(page: Page, place: Locator) -> None:
    """Press the mouse on something, and hold it."""
    place.hover()
    page.mouse.down()


def _wait_for_changes(page: Page) -> None:
    """Wait until the page has looked at its job, and has shown what changed: then it looks once more."""
    for _ in range(3):
        page.wait_for_event("response", lambda response: response.url.endswith("/status"))


def test_a_press_that_a_change_comes_into_is_a_click(quiet: Page, service: Service) -> None:
    _paste(quiet, service.pictures.urls("slow", 300))
    _wait_for(quiet, "Running")
    _press(quiet, quiet.get_by_role("button", name="Cancel job"))
    _wait_for_changes(quiet)
    quiet.mouse.up()
    quiet.get_by_role("dialog").get_by_role("button", name="Cancel job").click()
    _wait_for(quiet, "Cancelled")


def test_the_last_change_is_shown_after_a_press(quiet: Page, service: Service) -> None:
    _paste(quiet, service.pictures.urls("slow", 30))
    _press(quiet, quiet.locator("#status .state"))
    expect(quiet.locator("#said")).to_have_text("The job is now: Completed", timeout=_PATIENCE)
    quiet.mouse.up()
    _wait_for(quiet, "Completed")


def test_a_selection_survives_changes(quiet: Page, service: Service) -> None:
    _paste(quiet, service.pictures.urls("slow", 30))
    quiet.evaluate("getSelection().selectAllChildren(document.querySelector('#status .counts'))")
    selected = quiet.evaluate("getSelection().toString()")
    expect(quiet.locator("#said")).to_have_text("The job is now: Completed", timeout=_PATIENCE)
    assert quiet.evaluate("getSelection().toString()") == selected != ""
    quiet.evaluate("getSelection().removeAllRanges()")
    _wait_for(quiet, "Completed")


@pytest.mark.parametrize("place", ["#malformed summary", "#status .wide", ".tile a >> nth=0"])
def test_the_focus_survives_changes(quiet: Page, service: Service, place: str) -> None:
    pictures = service.pictures
    _paste(quiet, [*pictures.urls("missing", 2), "no URL", *pictures.urls("slow", 45)])
    quiet.locator(place).focus()
    _wait_for(quiet, "Completed")
    expect(quiet.locator(".tile")).to_have_count(47)
    expect(quiet.locator(place)).to_be_focused()


def test_results_are_filtered_and_exported(quiet: Page, service: Service) -> None:
    _finish(quiet, service)
    quiet.get_by_role("link", name="3 failed").click()
    quiet.wait_for_url("**/jobs/*?state=failed#results")
    expect(quiet.locator(".tile")).to_have_count(3)
    with quiet.expect_download() as download:
        quiet.get_by_role("link", name="CSV").click()
    rows = download.value.path().read_text().splitlines()
    assert [row.partition(",")[0] for row in rows] == ["index", "8", "9", "10"]
    quiet.get_by_role("link", name="Show all").click()
    expect(quiet.locator(".tile")).to_have_count(11)
    name = quiet.locator(".tile b").first.inner_text().partition(",")[0]
    quiet.get_by_label("Top class").fill(name)
    quiet.get_by_role("button", name="Filter").click()
    quiet.wait_for_url("**/jobs/*?class=*")
    assert 0 in _indexes(quiet)
    assert 10 not in _indexes(quiet)


def test_failures_are_tried_again_without_a_reload(quiet: Page, service: Service) -> None:
    _finish(quiet, service, failures=1)
    asked = service.pictures.asked["/missing/0"]
    quiet.evaluate("document.body.dataset.mark = 'the same page'")
    quiet.get_by_role("button", name="Retry", exact=True).click()
    expect(quiet.locator(".counts .failed")).to_contain_text("0 failed")
    expect(quiet.locator(".counts .failed")).to_contain_text("1 failed", timeout=_PATIENCE)
    _wait_for(quiet, "Completed")
    assert service.pictures.asked["/missing/0"] > asked
    assert quiet.evaluate("document.body.dataset.mark") == "the same page"


def test_a_job_is_cancelled_and_deleted_once_that_is_confirmed(quiet: Page, service: Service) -> None:
    _paste(quiet, service.pictures.urls("slow", 300), "To be cancelled")
    _wait_for(quiet, "Running")
    quiet.get_by_role("button", name="Cancel job").click()
    quiet.get_by_role("button", name="Keep the job").click()
    expect(quiet.get_by_role("dialog")).to_be_hidden()
    _wait_for(quiet, "Running")
    quiet.get_by_role("button", name="Cancel job").click()
    quiet.get_by_role("dialog").get_by_role("button", name="Cancel job").click()
    _wait_for(quiet, "Cancelled")
    quiet.get_by_role("button", name="Delete job").click()
    quiet.get_by_role("dialog").get_by_role("button", name="Delete job").click()
    quiet.wait_for_url("**/jobs")
    expect(quiet.get_by_role("heading", level=1)).to_have_text("Jobs")
    expect(quiet.get_by_role("link", name="To be cancelled")).to_have_count(0)


def test_what_the_server_refuses_is_told_in_its_words(desk: Page, service: Service) -> None:
    _finish(desk, service)
    number = desk.url.rpartition("/")[2]
    assert desk.request.delete(f"/v1/jobs/{number}").status == 204
    desk.get_by_role("button", name="Delete job").click()
    desk.get_by_role("dialog").get_by_role("button", name="Delete job").click()
    expect(desk.locator("#refused")).to_contain_text(Code.JOB_UNKNOWN.sentence)


def test_hostile_words_stay_words(quiet: Page, service: Service) -> None:
    _paste(quiet, [f"http://127.0.0.1:1/{_HOSTILE}", service.pictures.url("pictures", 1)], _HOSTILE)
    _wait_for(quiet, "Completed")
    expect(quiet.get_by_role("heading", level=1)).to_have_text(_HOSTILE)
    quiet.goto("/jobs")
    expect(quiet.get_by_role("link", name=_HOSTILE)).to_be_visible()
    assert quiet.locator("img[src=x]").count() == 0


def test_the_list_of_jobs_is_live(
    quiet: Page, service: Service, screenshot: Screenshot, check_accessible: Check
) -> None:
    quiet.goto("/jobs")
    quiet.request.post("/v1/jobs", data={"urls": service.pictures.urls("pictures", 20), "name": "Live"})
    expect(quiet.get_by_role("link", name="Live")).to_be_visible(timeout=_PATIENCE)
    expect(quiet.locator(".jobs li").first).to_contain_text("Completed", timeout=_PATIENCE)
    check_accessible(quiet)
    screenshot(quiet, "desk-jobs")


@pytest.mark.parametrize("width", [320, 360])
def test_pages_fit_a_phone(
    phone: Page, service: Service, width: int, screenshot: Screenshot, check_accessible: Check
) -> None:
    _paste(phone, [*_uneven(service.pictures, 30), *service.pictures.urls("missing", 4)], "On the way")
    _wait_for(phone, "Completed")
    expect(phone.locator("#classes .in-all")).to_be_visible()
    phone.set_viewport_size({"width": width, "height": 740})
    for path, name in ((phone.url, "phone-job"), ("/jobs", "phone-jobs")):
        phone.goto(path)
        phone.wait_for_load_state("load")
        assert phone.evaluate("document.documentElement.scrollWidth") == width
        check_accessible(phone)
        if width == 360:
            screenshot(phone, name)


def test_a_page_can_be_read_without_scripts(browser: Browser, service: Service, desk: Page) -> None:
    _finish(desk, service)
    with closing(browser.new_context(base_url=service.url, java_script_enabled=False)) as context:
        page = context.new_page()
        page.goto(f"{desk.url}?state=failed")
        expect(page.locator(".tile")).to_have_count(3)
        page.get_by_role("link", name="Report").click()
        expect(page.get_by_role("heading", name="In short")).to_be_visible()


def test_where_keys_are_wanted_one_is_asked_for_once(
    browser: Browser, service: Service, cache_dir: Path, tmp_path: Path
) -> None:
    environment = os.environ | settings_for(tmp_path, cache_dir, service.pictures)
    command = [sys.executable, "-m", "smartsight", "keys", "create", "desk"]
    made = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    with (
        serving(tmp_path, cache_dir, service.pictures) as url,
        closing(browser.new_context(base_url=url, **DESK)) as context,  # type: ignore[arg-type]
    ):
        page = context.new_page()
        page.goto("/jobs")
        page.get_by_label("Your key").fill(made.stdout.strip())
        page.get_by_role("button", name="Save on this device").click()
        page.wait_for_url("**/jobs")
        _paste(page, service.pictures.urls("pictures", 3))
        _wait_for(page, "Completed")
        expect(page.locator(".tile img")).to_have_count(3)
        assert made.stdout.strip() not in page.content()
        _follow_link(page, page.url)
        _wait_for(page, "Completed")


def _follow_link(page: Page, url: str) -> None:
    """Come to a page of ours from another site."""
    page.route(
        "http://chat.example/",
        lambda route: route.fulfill(content_type="text/html", body=f"<a href={url}>Look"),
    )
    page.goto("http://chat.example/")
    page.get_by_role("link", name="Look").click()
    page.wait_for_url(url)
