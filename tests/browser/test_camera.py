"""The camera of the phone page while it starts: hidden, shown again, asked for twice."""

import pytest
from playwright.sync_api import Page, expect

from tests.servers.waiting import wait_until

#: Cameras open when the test says so, one after the other; all that were opened are known.
_HELD = """(() => {
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    window.asked = [];
    window.tracks = [];
    navigator.mediaDevices.getUserMedia = async (wish) => {
        const permitted = new Promise((permit) => window.asked.push(permit));
        const stream = await open(wish);
        window.tracks.push(...stream.getTracks());
        await permitted;
        return stream;
    };
})()"""
_HIDE = """(hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""
_UNTOLD = "navigator.permissions.query = async () => ({ state: 'prompt' })"
_RUNNING = "tracks.filter((track) => track.readyState === 'live').length"
_SEEN = "document.getElementById('live').videoWidth"


@pytest.fixture
def held(phone: Page) -> Page:
    """The phone page, whose cameras wait to be opened."""
    phone.add_init_script(_HELD)
    return phone


def _wait_for_cameras(page: Page, count: int) -> None:
    wait_until(lambda: page.evaluate("tracks.length") == count, 20, f"{count} cameras")


def test_a_page_hidden_and_shown_while_the_camera_starts_leaves_no_camera_on(held: Page) -> None:
    held.goto("/")
    _wait_for_cameras(held, 1)
    held.evaluate(_HIDE, True)
    held.evaluate(_HIDE, False)
    _wait_for_cameras(held, 2)
    held.evaluate("asked.forEach((permit) => permit())")
    expect(held.locator("#shutter")).to_be_visible()
    wait_until(lambda: held.evaluate(_RUNNING) == 1, 20, "the first camera to be off")
    assert held.evaluate(_SEEN) > 0
    held.evaluate(_HIDE, True)
    assert held.evaluate(_RUNNING) == 0


def test_a_camera_that_opens_after_its_page_was_hidden_is_switched_off(held: Page) -> None:
    held.goto("/")
    _wait_for_cameras(held, 1)
    held.evaluate(_HIDE, True)
    held.evaluate("asked[0]()")
    wait_until(lambda: held.evaluate(_RUNNING) == 0, 20, "the camera to be off")
    expect(held.locator("#shutter")).to_be_hidden()


#: The page is hidden as soon as the camera's picture begins to be played.
_HIDDEN_IN_PLAY = f"""(() => {{
    const play = HTMLMediaElement.prototype.play;
    HTMLMediaElement.prototype.play = function () {{
        HTMLMediaElement.prototype.play = play;
        const playing = play.call(this);
        ({_HIDE})(true);
        return playing.finally(() => {{ window.isBroken = true; }});
    }};
}})()"""


def test_a_page_hidden_before_the_picture_plays_comes_back_by_itself(phone: Page) -> None:
    phone.add_init_script(_HIDDEN_IN_PLAY)
    phone.goto("/")
    wait_until(lambda: phone.evaluate("Boolean(window.isBroken)"), 20, "the play to end")
    expect(phone.locator("#invitation")).not_to_contain_text("does not start")
    phone.evaluate(_HIDE, False)
    expect(phone.locator("#shutter")).to_be_visible()
    assert phone.evaluate(_SEEN) > 0


def test_a_page_opened_in_the_background_uses_no_camera_until_it_is_shown(held: Page) -> None:
    held.add_init_script(f"({_HIDE})(true)")
    held.add_init_script("navigator.permissions.query = async () => (window.told = { state: 'granted' })")
    held.goto("/")
    wait_until(lambda: held.evaluate("Boolean(window.told)"), 20, "the page to be told")
    assert held.evaluate("asked.length") == 0
    held.evaluate(_HIDE, False)
    held.evaluate("asked[0]()")
    expect(held.locator("#shutter")).to_be_visible()


def test_a_second_tap_while_its_owner_is_asked_waits_for_the_same_camera(held: Page) -> None:
    held.add_init_script(_UNTOLD)
    held.goto("/")
    held.get_by_role("button", name="Start the camera").dblclick()
    _wait_for_cameras(held, 1)
    expect(held.locator("#start")).to_be_visible()
    expect(held.locator("#shutter")).to_be_hidden()
    held.evaluate("asked[0]()")
    expect(held.locator("#shutter")).to_be_visible()
    assert held.evaluate("[asked.length, tracks.length]") == [1, 1]
    assert held.evaluate(_SEEN) > 0


def test_no_picture_is_taken_before_the_camera_is_back(held: Page) -> None:
    held.goto("/")
    _wait_for_cameras(held, 1)
    held.evaluate("asked[0]()")
    expect(held.locator("#shutter")).to_be_visible()
    held.evaluate(_HIDE, True)
    held.evaluate(_HIDE, False)
    _wait_for_cameras(held, 2)
    held.locator("#shutter").tap()
    expect(held.locator("#sight")).to_have_attribute("data-state", "live")
    held.evaluate("asked[1]()")
    wait_until(lambda: held.evaluate(_SEEN), 20, "a picture")
    held.locator("#shutter").tap()
    expect(held.locator("#best")).to_have_text("espresso")
