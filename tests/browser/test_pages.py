"""What all pages have in common."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Screenshot


@pytest.mark.parametrize("path", ["/docs", "/docs/errors", "/key"])
def test_every_page_is_accessible_and_breaks_no_rule_of_its_own(
    path: str, desk: Page, screenshot: Screenshot, check_accessible: Callable[[Page], None]
) -> None:
    said: list[str] = []
    desk.on("console", lambda message: said.append(message.text))
    desk.on("pageerror", lambda error: said.append(str(error)))
    desk.goto(path)
    desk.wait_for_load_state("networkidle")
    assert desk.locator("main").inner_text()
    assert said == []
    screenshot(desk, f"desk{path.replace('/', '-')}")
    check_accessible(desk)
