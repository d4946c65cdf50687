"""What all pages have in common, and the phone page on screens of every size (WCAG 2.2, 1.4.4 and 1.4.10)."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import PHONE, Screenshot, Service
from tests.browser.test_phone import CLASSIFY, classes, fulfil, refusal

#: Phones upright and on their side, 400 % zoom of a desk, and both sides of the limits between layouts.
_SIZES = (
    *((360, 740), (320, 640), (740, 360), (667, 375), (844, 390), (320, 256)),
    *((543, 400), (545, 400), (900, 576), (900, 580), (1024, 768)),
)
_LONG = "Chesapeake Bay retriever-with-a-name-that-does-not-end, dog"
#: Which visible parts lie over one another, and which do not fit the width.
_COVERED = """() => {
    const parts = [
        ...document.querySelectorAll("header.bar, #stage, #answer > *, #others li, #reason, #wait"),
        ...document.querySelectorAll(".controls > *"),
        ...document.querySelectorAll("#history h2, #clear, #entries li, .drop, #invitation, #start, #take"),
    ].filter((part) => part.checkVisibility() && part.getBoundingClientRect().width > 1);
    const over = (one, other) => {
        const [a, b] = [one.getBoundingClientRect(), other.getBoundingClientRect()];
        return Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
            Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
    };
    const named = (part) => part.id || part.className || part.tagName;
    const covered = [];
    parts.forEach((one, at) => parts.slice(at + 1).forEach((other) => {
        const within = one.contains(other) || other.contains(one);
        if (!within && over(one, other)) covered.push(`${named(one)} and ${named(other)}`);
    }));
    const wide = parts.filter((part) => part.clientWidth && part.scrollWidth > part.clientWidth + 1);
    const page = document.documentElement;
    if (page.scrollWidth > innerWidth) wide.push(page);
    const stage = document.getElementById("stage");
    const invitation = document.querySelector(".invitation");
    if (invitation.checkVisibility() && invitation.scrollHeight > stage.clientHeight + 1) wide.push(stage);
    return [...covered, ...wide.map((part) => `${named(part)} is cut off`)];
}"""
_FRAME = """() => {
    const scale = document.querySelector(".frame path").getScreenCTM().a;
    const { clientWidth, clientHeight } = document.getElementById("stage");
    return Math.abs(scale * 100 - Math.min(clientWidth, clientHeight)) < 1 && scale > .5;
}"""


def _resized(page: Page) -> Iterator[str]:
    """Show the page in every size, with text as it is and twice as large; yield which it is."""
    for factor in (1, 2):
        # Not a style element, which the page's policy forbids.
        page.evaluate("percent => { document.documentElement.style.fontSize = percent }", f"{factor}00%")
        for width, height in _SIZES:
            page.set_viewport_size({"width": width, "height": height})
            yield f"{width} x {height}, text x {factor}"


def _covered(page: Page) -> dict[str, list[str]]:
    """Return what is covered, by size."""
    found = {size: page.evaluate(_COVERED) for size in _resized(page)}
    return {size: parts for size, parts in found.items() if parts}


def test_nothing_is_covered_and_the_shutter_is_in_view(phone: Page, screenshot: Screenshot) -> None:
    fulfil(phone, 200, classes(0.12, 0.11, 0.1, 0.09, 0.08, name=_LONG))
    phone.goto("/")
    shutter = phone.locator("#shutter")
    expect(shutter).to_be_visible()
    for size in _resized(phone):
        assert phone.evaluate(_COVERED) == [], size
        assert phone.evaluate(_FRAME), size
        bottom = phone.evaluate("document.getElementById('shutter').getBoundingClientRect().bottom")
        assert bottom <= phone.viewport_size["height"] or "text x 2" in size, size  # type: ignore[index]
    _small(phone)
    screenshot(phone, "phone-on-its-side-start")
    shutter.tap()
    expect(phone.locator("#lead")).to_have_text("Not sure. It might be")
    assert _covered(phone) == {}
    _small(phone)
    screenshot(phone, "phone-on-its-side-result")
    phone.unroute(CLASSIFY)
    fulfil(phone, 503, refusal("", "at_capacity"), **{"Retry-After": "40590"})
    phone.locator("#again").tap()
    shutter.tap()
    expect(phone.get_by_role("alert")).to_be_visible()
    assert _covered(phone) == {}


def _small(page: Page) -> None:
    page.evaluate("document.documentElement.style.fontSize = ''")
    page.set_viewport_size({"width": 740, "height": 360})


def test_the_invitation_is_never_cut_off(browser: Browser, service: Service) -> None:
    with closing(browser.new_context(base_url=service.url, **PHONE)) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.add_init_script("Object.defineProperty(navigator, 'mediaDevices', { value: {} })")
        page.goto("/")
        expect(page.locator("#take")).to_be_visible()
        assert _covered(page) == {}


def test_bars_are_seen_in_forced_colours(phone: Page) -> None:
    fulfil(phone, 200, classes(0.7, 0.2))
    phone.goto("/")
    phone.locator("#shutter").tap()
    phone.emulate_media(forced_colors="active")
    expect(phone.locator("#others li")).to_have_count(1)
    bars = phone.evaluate("""[...document.querySelectorAll(".bar-line")].map((bar) => {
        const [whole, part] = [getComputedStyle(bar), getComputedStyle(bar, "::before")];
        return [parseFloat(part.width) / bar.clientWidth, part.backgroundColor !== whole.backgroundColor];
    })""")
    assert [(round(part, 2), distinct) for part, distinct in bars] == [(0.7, True), (0.2, True)]


def test_an_icon_has_words_below_it(phone: Page) -> None:
    fulfil(phone, 200, classes(0.7))
    phone.goto("/")
    phone.locator("#shutter").tap()
    expect(phone.locator("#entries li")).to_have_count(1)
    phone.locator("#again").tap()
    expect(phone.locator("#choose").get_by_text("Choose")).to_be_visible()
    expect(phone.locator("#latest").get_by_text("Recent")).to_be_visible()


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


def test_a_browser_at_an_unknown_address_is_shown_a_page(
    desk: Page, check_accessible: Callable[[Page], None]
) -> None:
    for path in ("/nowhere", "/v1/jobs/1/nothing"):
        desk.goto(path)
        expect(desk.get_by_role("alert")).to_have_text("There is nothing at this URL.")
        expect(desk.locator("nav a", has_text="Camera")).to_be_visible()
    check_accessible(desk)
