"""The phone page: from a picture to its label, and whatever may come between them."""

import base64
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import PHONE, Screenshot, Service
from tests.servers.proxy import TcpProxy
from tests.servers.waiting import wait_until

CLASSIFY = "**/v1/classify"
_NAMED = "<img src=x onerror=alert(1)>.png"
_MARKUP = "<b onmouseover=alert(1)>cup</b>, <i>mug</i>"
_IS_SEEING = "Boolean(document.getElementById('live').srcObject?.active)"
Encode = Callable[..., bytes]


@pytest.fixture
def said() -> list[str]:
    """What pages write to the console, which is nothing."""
    return []


def _listen(page: Page, said: list[str]) -> None:
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))


def _file(content: bytes, name: str = "a.png", kind: str = "image/png") -> dict[str, object]:
    return {"name": name, "mimeType": kind, "buffer": content}


def _choose(page: Page, content: bytes, name: str = "a.png", kind: str = "image/png") -> None:
    page.set_input_files("#file", _file(content, name, kind))  # type: ignore[arg-type]


@pytest.fixture
def coffee(samples: Path) -> bytes:
    return (samples / "coffee.png").read_bytes()


def fulfil(page: Page, status: int, body: object, **headers: str) -> None:
    def answer(route: Route) -> None:
        content = body if isinstance(body, str) else json.dumps(body)
        route.fulfill(status=status, body=content, headers={"Content-Type": "application/json"} | headers)

    page.route(CLASSIFY, answer)


def _hold(held: list[Route]) -> Callable[[Route], None]:
    """Return what lets a request wait until the test goes on with it."""

    def hold(route: Route) -> None:
        held.append(route)

    return hold


def refusal(message: str, kind: str) -> dict[str, object]:
    return {"error": {"code": 0, "message": message, "url": "", "type": kind}}


def classes(*scores: float, name: str = "espresso, coffee") -> dict[str, object]:
    return {"data": [{"class": name, "score": score} for score in scores]}


def test_a_picture_is_taken_and_named(phone: Page, screenshot: Screenshot, said: list[str]) -> None:
    _listen(phone, said)
    phone.goto("/")
    shutter = phone.get_by_role("button", name="Take the picture")
    expect(shutter).to_be_visible()
    screenshot(phone, "phone-start")
    shutter.tap()
    expect(phone.get_by_role("heading", name="espresso")).to_be_visible()
    expect(phone.get_by_role("status")).to_have_text(re.compile(r"^espresso, \d"))
    expect(phone.locator("#others li")).to_have_count(4)
    expect(phone.get_by_role("img", name="Your picture")).to_be_visible()
    assert phone.evaluate("document.getElementById('live').srcObject") is None, "the camera goes on"
    screenshot(phone, "phone-result")
    phone.get_by_role("button", name="Another picture").tap()
    expect(shutter).to_be_focused()
    assert said == []


def test_the_shutter_is_reached_without_scrolling_and_nothing_is_wider_than_the_screen(phone: Page) -> None:
    phone.goto("/")
    expect(phone.locator("#shutter")).to_be_visible()
    box = phone.locator("#shutter").bounding_box()
    assert box
    assert box["y"] + box["height"] <= 740
    for width in (320, 360, 740):
        phone.set_viewport_size({"width": width, "height": 740})
        assert phone.evaluate("document.documentElement.scrollWidth") <= width
        phone.locator("#shutter").tap()
        expect(phone.locator("#best")).to_be_visible()
        assert phone.evaluate("document.documentElement.scrollWidth") <= width
        phone.locator("#again").tap()
        expect(phone.locator("#shutter")).to_be_visible()


def test_what_is_touched_is_large_enough(phone: Page) -> None:
    phone.goto("/")
    expect(phone.locator("#shutter")).to_be_visible()
    for button in phone.locator("main button:visible, main a:visible").all():
        box = button.bounding_box()
        assert box
        assert min(box["width"], box["height"]) >= 44, button.inner_html()


def test_it_waits_in_sight(phone: Page) -> None:
    held: list[Route] = []
    phone.route(CLASSIFY, _hold(held))
    phone.goto("/")
    phone.locator("#shutter").tap()
    shutter = phone.locator("#shutter")
    expect(shutter).to_be_disabled()
    expect(shutter).to_have_attribute("aria-busy", "true")
    expect(phone.get_by_role("status")).to_have_text("Classifying")
    expect(phone.get_by_role("img", name="Your picture")).to_be_visible()
    held[0].continue_()
    expect(phone.locator("#best")).to_have_text("espresso")


def test_the_camera_is_off_while_the_page_is_hidden(phone: Page) -> None:
    phone.goto("/")
    expect(phone.locator("#shutter")).to_be_visible()
    phone.evaluate("""() => {
        Object.defineProperty(document, "hidden", { value: true, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    assert phone.evaluate("document.getElementById('live').srcObject") is None
    phone.evaluate("""() => {
        delete document.hidden;
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    wait_until(lambda: phone.evaluate(_IS_SEEING), 20, "the camera")


def test_who_does_not_permit_the_camera_chooses_a_picture(
    browser: Browser, service: Service, coffee: bytes
) -> None:
    with closing(browser.new_context(base_url=service.url, **PHONE)) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto("/")
        page.get_by_role("button", name="Start the camera").or_(
            page.get_by_role("button", name="Take a picture")
        ).wait_for()
        if page.locator("#start").is_visible():
            page.locator("#start").tap()
        expect(page.locator("#invitation")).to_contain_text("Camera access is blocked")
        expect(page.locator("#camera-file")).to_have_attribute("capture", "environment")
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Take a picture").tap()
        chooser.value.set_files(_file(coffee))  # type: ignore[arg-type]
        expect(page.locator("#best")).to_have_text("espresso")


def _unwilling(name: str) -> str:
    """Return the devices of a browser that cannot open its camera."""
    return f"{{ getUserMedia: async () => {{ throw new DOMException('', '{name}'); }} }}"


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        ("{}", "No camera was found"),
        (_unwilling("NotFoundError"), "No camera was found"),
        (_unwilling("NotReadableError"), "Another app may be using it"),
    ],
    ids=["none", "not found", "busy"],
)
def test_where_there_is_no_camera_it_says_so(devices: str, words: str, phone: Page) -> None:
    phone.add_init_script(f"Object.defineProperty(navigator, 'mediaDevices', {{ value: {devices} }})")
    phone.goto("/")
    expect(phone.locator("#invitation")).to_contain_text(words)
    expect(phone.locator("#choose")).to_be_visible()


_OBSERVED = """() => {
    const post = window.fetch;
    window.fetch = (url, how) => {
        if (how?.method === "POST") window.sent = how.body;
        return post(url, how);
    };
}"""
_READ = """async () => {
    const bytes = new Uint8Array(await window.sent.arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}"""


def _sent(page: Page, content: bytes, name: str = "a.png", kind: str = "image/png") -> bytes:
    """Return what goes to the server when a picture is chosen; the browser's own tools do not show it."""
    page.goto("/")
    page.evaluate(_OBSERVED)
    with page.expect_request(CLASSIFY) as request:
        _choose(page, content, name, kind)
    sent = base64.b64decode(page.evaluate(_READ))
    assert int(request.value.all_headers()["content-length"]) == len(sent)
    return sent


def _photo(encoded: Encode, coffee: bytes) -> bytes:
    """Return what a phone of 12 megapixels makes of a cup while it is held upright: it lies, and says so."""
    with Image.open(io.BytesIO(coffee)) as cup:
        lying = cup.convert("RGB").resize((3000, 4000)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(lying, "JPEG", quality=90, exif=exif)


def test_a_large_photo_is_turned_and_shrunk_before_it_is_sent(
    phone: Page, encoded: Encode, coffee: bytes
) -> None:
    photo = _photo(encoded, coffee)
    sent = _sent(phone, photo, "a.jpg", "image/jpeg")
    assert len(sent) < 100_000
    with Image.open(io.BytesIO(sent)) as picture:
        assert (picture.format, picture.size, dict(picture.getexif())) == ("JPEG", (448, 597), {})
    expect(phone.locator("#best")).to_have_text("espresso")


def test_a_panorama_is_sent_without_its_ends(phone: Page, encoded: Encode) -> None:
    sent = _sent(phone, encoded(Image.new("RGB", (5000, 600), "teal"), "PNG"))
    with Image.open(io.BytesIO(sent)) as picture:
        assert picture.size == (896, 448)


def test_what_is_transparent_lies_on_white(phone: Page, encoded: Encode) -> None:
    sent = _sent(phone, encoded(Image.new("RGBA", (64, 64), (0, 0, 0, 0)), "PNG"))
    with Image.open(io.BytesIO(sent)) as picture:
        assert picture.getpixel((32, 32)) == (255, 255, 255)


def test_what_is_no_picture_is_refused_in_plain_words(
    phone: Page, screenshot: Screenshot, check_accessible: Callable[[Page], None]
) -> None:
    phone.goto("/")
    _choose(phone, b"no picture at all", "notes.txt", "application/json")
    expect(phone.get_by_role("alert")).to_have_text("This is not a picture.")
    expect(phone.get_by_role("button", name="Another picture")).to_be_focused()
    expect(phone.get_by_role("button", name="Try again")).to_be_hidden()
    expect(phone.get_by_text("Your picture: notes.txt")).to_be_visible()
    screenshot(phone, "phone-refused")
    check_accessible(phone)


_UNDECODED = """() => {
    const decode = window.createImageBitmap;
    window.createImageBitmap = async (...what) => {
        await new Promise((go) => { window.decode = go; });
        return decode(...what);
    };
}"""
_UNENCODED = "() => { HTMLCanvasElement.prototype.toBlob = (give) => give(null); }"


def test_the_picture_before_is_not_shown_for_another(phone: Page, coffee: bytes) -> None:
    phone.goto("/")
    phone.locator("#shutter").tap()
    expect(phone.get_by_role("img", name="Your picture")).to_be_visible()
    phone.locator("#again").tap()
    phone.evaluate(_UNDECODED)
    _choose(phone, coffee)
    expect(phone.get_by_role("status")).to_have_text("Classifying")
    expect(phone.locator("#picture")).not_to_have_attribute("src", re.compile("."))
    phone.evaluate(_UNENCODED)
    phone.evaluate("decode()")
    expect(phone.get_by_role("alert")).to_contain_text("cannot process the picture")
    expect(phone.locator("#picture")).not_to_have_attribute("src", re.compile("."))
    expect(phone.get_by_role("img", name="Your picture")).to_have_count(0)


def test_what_is_too_large_and_cannot_be_read_is_not_sent(phone: Page) -> None:
    phone.goto("/")
    _choose(phone, bytes(10_485_761), "a.heic", "image/heic")
    expect(phone.get_by_role("alert")).to_contain_text("The limit is 10 MB")


def test_without_a_connection_it_says_so_and_keeps_the_picture(
    phone: Page, screenshot: Screenshot, check_accessible: Callable[[Page], None]
) -> None:
    phone.goto("/")
    expect(phone.locator("#shutter")).to_be_visible()
    phone.context.set_offline(True)
    phone.locator("#shutter").tap()
    expect(phone.get_by_role("alert")).to_contain_text("No connection")
    expect(phone.get_by_role("button", name="Try again")).to_be_focused()
    screenshot(phone, "phone-error")
    check_accessible(phone)
    phone.context.set_offline(False)
    phone.get_by_role("button", name="Try again").tap()
    expect(phone.locator("#best")).to_have_text("espresso")


def _visit_for_good(page: Page) -> None:
    page.goto("/")
    wait_until(lambda: page.evaluate("Boolean(navigator.serviceWorker.controller)"), 20, "the worker")


def test_once_visited_the_page_opens_without_a_connection(phone: Page, said: list[str]) -> None:
    _visit_for_good(phone)
    phone.context.set_offline(True)
    _listen(phone, said)
    phone.reload()
    phone.locator("#shutter").tap()
    expect(phone.get_by_role("alert")).to_contain_text("No connection")
    assert not [line for line in said if "ERR_INTERNET_DISCONNECTED" not in line]


def test_other_pages_say_that_there_is_no_connection_and_come_back(
    phone: Page, screenshot: Screenshot
) -> None:
    _visit_for_good(phone)
    phone.context.set_offline(True)
    phone.goto("/docs/errors?a=b#http_404")
    expect(phone.get_by_role("heading", name="No connection")).to_be_visible()
    screenshot(phone, "phone-offline")
    phone.context.set_offline(False)
    phone.wait_for_url("**/docs/errors?a=b*")


def test_the_offline_page_leads_to_no_stranger(phone: Page) -> None:
    for place in ("https://evil.example.com/", "//evil.example.com", "javascript:alert(1)"):
        phone.goto(f"/offline#{place}")
        phone.reload()
        assert phone.get_by_role("link", name="Try again").evaluate("a => new URL(a.href).origin") == (
            phone.evaluate("location.origin")
        )


def test_the_worker_leaves_the_api_alone(phone: Page) -> None:
    _visit_for_good(phone)
    phone.reload()
    with phone.expect_response("**/v1/nothing") as response:
        phone.evaluate("fetch('v1/nothing')")
    assert not response.value.from_service_worker
    with phone.expect_response("**/page.css?v=*") as response:
        phone.reload()
    assert response.value.from_service_worker


@pytest.fixture
def network(service: Service) -> Iterator[TcpProxy]:
    """The way to the service, which can fall silent."""
    place = urlsplit(service.url)
    with closing(TcpProxy(place.hostname or "", place.port or 0)) as proxy:
        yield proxy


@pytest.fixture
def far_phone(browser: Browser, network: TcpProxy) -> Iterator[Page]:
    """A page on a phone whose camera is permitted, behind the network."""
    url = f"http://127.0.0.1:{network.port}"
    with closing(browser.new_context(base_url=url, **PHONE)) as context:  # type: ignore[arg-type]
        context.grant_permissions(["camera"])
        yield context.new_page()


def test_once_visited_the_page_works_while_the_network_is_silent(network: TcpProxy, far_phone: Page) -> None:
    _visit_for_good(far_phone)
    network.blackhole()
    far_phone.goto("/", wait_until="commit")
    expect(far_phone.locator("#shutter")).to_be_visible(timeout=20_000)


def test_a_page_whose_modules_do_not_come_takes_the_kept_ones(phone: Page) -> None:
    _visit_for_good(phone)
    held: list[Route] = []
    phone.context.route("**/static/*.js", _hold(held))
    phone.goto("/", wait_until="commit")
    expect(phone.locator("#shutter")).to_be_visible(timeout=20_000)
    assert held


def test_a_newer_page_is_not_kept_among_older_files(phone: Page, service: Service) -> None:
    _visit_for_good(phone)
    phone.context.route(f"{service.url}/", lambda route: route.fulfill(body="A newer page"))
    phone.reload()
    expect(phone.get_by_text("A newer page")).to_be_visible()
    phone.context.set_offline(True)
    phone.context.unroute(f"{service.url}/")
    phone.reload()
    expect(phone.locator("#shutter")).to_be_visible()


def test_modules_that_a_proxy_refuses_are_the_kept_ones(phone: Page) -> None:
    _visit_for_good(phone)
    phone.context.route("**/static/*.js", lambda route: route.fulfill(status=502, body="Bad gateway"))
    phone.reload()
    expect(phone.locator("#shutter")).to_be_visible()


def test_an_answer_that_never_comes_is_given_up(phone: Page) -> None:
    phone.clock.install()
    held: list[Route] = []
    phone.route(CLASSIFY, _hold(held))
    phone.goto("/")
    with phone.expect_request(CLASSIFY):
        phone.locator("#shutter").tap()
    phone.clock.fast_forward(31_000)
    expect(phone.get_by_role("alert")).to_contain_text("takes too long")
    expect(phone.locator("#retry")).to_be_visible()


def test_a_server_without_room_says_when_to_come_again(phone: Page) -> None:
    fulfil(phone, 503, refusal("All is full.", "at_capacity"), **{"Retry-After": "7"})
    phone.goto("/")
    phone.locator("#shutter").tap()
    expect(phone.get_by_role("alert")).to_have_text(
        re.compile(r"is busy\.\s*You can try again in 7 seconds\.")
    )
    expect(phone.locator("#retry")).to_be_focused()


def test_a_key_that_is_used_up_says_so_for_people(phone: Page) -> None:
    fulfil(phone, 429, refusal("quota: 100 a day", "quota_exceeded"), **{"Retry-After": "40590"})
    phone.goto("/")
    phone.locator("#shutter").tap()
    words = re.compile(r"used up its pictures for now\.\s*You can try again in 12 hours\.")
    expect(phone.get_by_role("alert")).to_have_text(words)


def test_a_picture_survives_the_entry_of_a_key(phone: Page, coffee: bytes) -> None:
    fulfil(phone, 401, refusal("Send `Authorization: Bearer KEY`.", "key_missing"))
    phone.goto("/")
    _choose(phone, coffee, "my cup.png")
    expect(phone.get_by_role("alert")).to_contain_text("wants a key")
    expect(phone.get_by_role("alert")).not_to_contain_text("Bearer")
    phone.get_by_role("link", name="Enter a key").tap()
    phone.wait_for_url("**/key?next=/")
    phone.unroute(CLASSIFY)
    phone.goto("/")
    expect(phone.locator("#best")).to_have_text("espresso")
    expect(phone.get_by_role("img", name="my cup.png")).to_be_visible()
    phone.reload()
    expect(phone.locator("#shutter")).to_be_visible()


def test_what_was_seen_is_opened_again(phone: Page) -> None:
    fulfil(phone, 200, classes(0.7, 0.2, name="espresso, coffee"))
    phone.goto("/")
    phone.locator("#shutter").tap()
    expect(phone.locator("#entries li")).to_have_count(1)
    phone.reload()
    phone.get_by_role("region", name="Recent").get_by_role("button", name=re.compile("espresso")).tap()
    expect(phone.locator("#best")).to_have_text("espresso")
    expect(phone.locator("#score")).to_have_text("70%")
    expect(phone.locator("#others li")).to_have_count(1)
    expect(phone.locator("#picture")).to_have_attribute("src", re.compile("^data:image/jpeg"))
    assert phone.evaluate("document.getElementById('live').srcObject") is None, "the camera goes on"
    phone.locator("#again").tap()
    expect(phone.locator("#shutter")).to_be_visible()
    expect(phone.locator("#entries li")).to_have_count(1)


@pytest.mark.parametrize(
    ("status", "body"), [(502, "<h1>Bad gateway</h1>"), (200, "[]"), (200, {"data": []})]
)
def test_an_answer_of_somebody_else_makes_no_sense(status: int, body: object, phone: Page) -> None:
    fulfil(phone, status, body)
    phone.goto("/")
    phone.locator("#shutter").tap()
    expect(phone.get_by_role("alert")).to_have_text("The server sent an unexpected response.")


def test_what_strangers_wrote_is_never_markup(phone: Page, coffee: bytes, said: list[str]) -> None:
    _listen(phone, said)
    fulfil(phone, 200, classes(0.9, 0.05, name=_MARKUP))
    phone.goto("/")
    _choose(phone, coffee, _NAMED)
    expect(phone.locator("#best")).to_have_text("<b onmouseover=alert(1)>cup</b>")
    expect(phone.locator("#also")).to_have_text("also: <i>mug</i>")
    expect(phone.locator("#entries strong")).to_have_text("<b onmouseover=alert(1)>cup</b>")
    expect(phone.get_by_role("img", name=_NAMED)).to_be_visible()
    phone.unroute(CLASSIFY)
    fulfil(phone, 422, refusal(_MARKUP, "image_corrupt"))
    phone.locator("#again").tap()
    _choose(phone, coffee, _NAMED)
    expect(phone.get_by_role("alert")).to_have_text("The picture is damaged.")
    assert phone.locator("main b, main i").count() == 0
    assert not [line for line in said if "422" not in line]


def test_a_low_score_is_told_in_words(phone: Page) -> None:
    fulfil(phone, 200, classes(0.29, 0.1))
    phone.goto("/")
    phone.locator("#shutter").tap()
    expect(phone.locator("#lead")).to_have_text("Not sure. It might be")
    expect(phone.get_by_role("status")).to_have_text("Not sure. It might be espresso, 29%")
    scores = phone.locator(".bar-line").evaluate_all(
        "bars => bars.map((bar) => bar.style.getPropertyValue('--score'))"
    )
    assert scores == ["0.29", "0.1"]


def test_what_was_seen_is_kept_on_the_device_until_it_is_cleared(phone: Page) -> None:
    phone.goto("/")
    for _ in range(2):
        phone.locator("#shutter").tap()
        phone.locator("#again").tap()
    phone.reload()
    entries = phone.get_by_role("region", name="Recent").get_by_role("listitem")
    expect(entries).to_have_count(2)
    expect(entries.first).to_contain_text("espresso")
    assert len(entries.first.locator("img").get_attribute("src") or "") < 10_000
    phone.get_by_role("button", name="Clear").click()
    expect(phone.locator("#history")).to_be_hidden()
    phone.reload()
    expect(phone.locator("#shutter")).to_be_visible()
    expect(phone.locator("#history")).to_be_hidden()


def test_what_one_tab_clears_no_other_tab_brings_back(phone: Page) -> None:
    phone.goto("/")
    phone.locator("#shutter").tap()
    expect(phone.locator("#entries li")).to_have_count(1)
    phone.locator("#again").tap()
    other = phone.context.new_page()
    other.goto("/")
    expect(other.locator("#latest")).to_be_visible()
    phone.get_by_role("button", name="Clear").click()
    expect(other.locator("#history")).to_be_hidden()
    expect(other.locator("#latest")).to_be_hidden()
    other.locator("#shutter").tap()
    expect(other.locator("#entries li")).to_have_count(1)
    expect(phone.locator("#entries li")).to_have_count(1)
    expect(phone.locator("#latest")).to_be_visible()


def test_what_a_tab_adds_is_added_to_what_is_kept_by_then(phone: Page) -> None:
    phone.add_init_script("addEventListener('storage', (event) => event.stopImmediatePropagation(), true)")
    phone.goto("/")
    expect(phone.locator("#shutter")).to_be_visible()
    other = phone.context.new_page()
    other.goto("/")
    for page, count in ((other, 1), (phone, 2)):
        page.locator("#shutter").tap()
        expect(page.locator("#entries li")).to_have_count(count)


def test_thirty_are_kept_and_what_is_damaged_is_left_out(phone: Page) -> None:
    phone.goto("/")
    phone.evaluate("""() => {
        const entry = { time: 0, thumbnail: null, classes: [{ name: "cup", score: 1 }] };
        localStorage.setItem("smartsight.history", JSON.stringify([1, null, {}, ...Array(40).fill(entry)]));
    }""")
    phone.reload()
    expect(phone.locator("#entries li")).to_have_count(30)
    phone.evaluate("localStorage.setItem('smartsight.history', '{')")
    phone.reload()
    phone.locator("#shutter").tap()
    expect(phone.locator("#entries li")).to_have_count(1)


def test_it_works_where_nothing_may_be_kept(phone: Page) -> None:
    phone.add_init_script(
        "const get = () => { throw new DOMException('', 'SecurityError'); };"
        "Object.defineProperty(window, 'localStorage', { get });"
    )
    phone.goto("/")
    phone.locator("#shutter").tap()
    expect(phone.locator("#best")).to_have_text("espresso")
    expect(phone.locator("#kept")).to_contain_text("stores nothing")
    phone.locator("#again").tap()
    phone.locator("#shutter").tap()
    expect(phone.locator("#entries li")).to_have_count(2)


def test_it_works_by_keyboard_alone(phone: Page) -> None:
    phone.goto("/")
    expect(phone.locator("#shutter")).to_be_visible()
    for _ in range(20):
        phone.keyboard.press("Tab")
        if phone.evaluate("document.activeElement.id") == "shutter":
            break
    phone.keyboard.press("Space")
    expect(phone.locator("#again")).to_be_focused()
    phone.keyboard.press("Enter")
    expect(phone.locator("#shutter")).to_be_focused()


_GIVE = """([bytes, event, field, name]) => {
    const given = new DataTransfer();
    const content = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
    given.items.add(new File([content], name, { type: "image/png" }));
    const Kind = event === "drop" ? DragEvent : ClipboardEvent;
    document.body.dispatchEvent(new Kind(event, { bubbles: true, cancelable: true, [field]: given }));
}"""


@pytest.mark.parametrize(("event", "field"), [("drop", "dataTransfer"), ("paste", "clipboardData")])
def test_on_a_desk_a_picture_is_dropped_or_pasted(
    event: str, field: str, desk: Page, coffee: bytes, screenshot: Screenshot
) -> None:
    desk.goto("/")
    expect(desk.get_by_text("Or drop or paste a picture here")).to_be_visible()
    screenshot(desk, "desk-phone-start")
    desk.evaluate(_GIVE, [base64.b64encode(coffee).decode(), event, field, "coffee.png"])
    expect(desk.locator("#best")).to_have_text("espresso")
    screenshot(desk, "desk-phone-result")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible(
    scheme: str, phone: Page, screenshot: Screenshot, check_accessible: Callable[[Page], None]
) -> None:
    phone.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    phone.goto("/")
    expect(phone.locator("#shutter")).to_be_visible()
    check_accessible(phone)
    phone.locator("#shutter").tap()
    expect(phone.locator("#best")).to_be_visible()
    check_accessible(phone)
    screenshot(phone, f"phone-{scheme}-result")
    fulfil(phone, 503, refusal("All is full.", "at_capacity"), **{"Retry-After": "7"})
    phone.locator("#again").tap()
    phone.locator("#shutter").tap()
    expect(phone.get_by_role("alert")).to_be_visible()
    check_accessible(phone)


def test_it_is_small_on_the_wire(phone: Page) -> None:
    network = phone.context.new_cdp_session(phone)
    network.send("Network.enable")
    sizes: list[float] = []
    network.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    phone.goto("/")
    phone.wait_for_load_state("networkidle")
    assert len(sizes) > 8
    assert sum(sizes) < 60_000
