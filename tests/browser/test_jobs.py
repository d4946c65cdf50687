"""The desk: jobs are handed in, watched, looked through and steered in a real browser."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from shared.classifier.model import Model
from tests.browser.conftest import DESK, PHONE, Screenshot, Service, serving, settings_for
from tests.conftest import SAMPLES
from tests.servers.pictures import PictureServer

#: Longer than any of these jobs takes.
_PATIENCE = 60_000
_VARIETY = 60
_HOSTILE = "<img src=x onerror=alert(1)> & \u202etxt.</h1>"

Check = Callable[[Page], None]


@pytest.fixture(scope="module")
def service(lite0: Model, cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`smartsight up` without keys, with as different pictures as there are."""
    with closing(PictureServer(_pictures(tmp_path_factory.mktemp("pictures")))) as pictures:
        with serving(tmp_path_factory.mktemp("service"), cache_dir, pictures) as url:
            yield Service(url, pictures)


def _pictures(folder: Path) -> Path:
    """Return a folder of pictures of many classes if there is one, or else our samples."""
    data = Path(os.environ.get("SMARTSIGHT_TEST_DATA", "")) / "imagenet-sample"
    found = sorted(data.glob("*.jpg"))
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
    yield desk
    assert said == []


def _paste(page: Page, urls: list[str], name: str = "") -> None:
    """Hand in a job, and be led to its page."""
    page.goto("/jobs")
    page.get_by_label("URLs of pictures").fill("\n".join(urls))
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url(re.compile(r"/jobs/\d+$"))


def _wait_for_end(page: Page, state: str = "Completed") -> None:
    expect(page.locator("#standing .state")).to_have_text(state, timeout=_PATIENCE)


def test_a_pasted_list_is_watched_to_its_end(
    quiet: Page, service: Service, screenshot: Screenshot, check_accessible: Check
) -> None:
    pictures = service.pictures
    urls = [*pictures.urls("pictures", _VARIETY), *pictures.urls("missing", 5), *pictures.urls("broken", 3)]
    _paste(quiet, [*urls, "no URL"], "Spring crawl")
    _wait_for_end(quiet)
    expect(quiet.get_by_role("heading", level=1)).to_have_text("Spring crawl")
    expect(quiet.locator(".counts .failed")).to_contain_text("8 failed")
    expect(quiet.locator("#malformed")).to_contain_text("1")
    expect(quiet.locator("#classes .bars li")).to_have_count(12)
    expect(quiet.locator(".tile img")).to_have_count(48)
    screenshot(quiet, "desk-job")
    check_accessible(quiet)
