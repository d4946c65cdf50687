"""A real browser, of which the camera alone is not, on the whole service as one command."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from shared.classifier.model import Model
from tests.servers.binaries import chromium_program
from tests.servers.pictures import PictureServer
from tests.servers.waiting import wait_until

_ADDRESS = re.compile("Listening on (http://[0-9.:]+)\n")
_PATIENCE = 60
_FRAMES_PER_SECOND = 10
_SCREENSHOTS = Path(__file__).parent / "screenshots"
PHONE = {
    "viewport": {"width": 360, "height": 740},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
DESK = {"viewport": {"width": 1440, "height": 900}}

#: Save a picture of the page under this name, for people to look at.
Screenshot = Callable[[Page, str], None]


@dataclass(frozen=True)
class Service:
    """Where the service is, and pictures that it may fetch."""

    url: str
    pictures: PictureServer


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """What drives browsers; the loop that it runs meanwhile would be in the way of others' tests."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def camera(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the camera sees, a few times a second: a coffee cup, which the model knows well."""
    with Image.open(samples / "coffee.png") as coffee:
        luma, *chroma = coffee.convert("RGB").resize((640, 480)).convert("YCbCr").split()
    planes = [luma.point(lambda value: 16 + value * 219 // 255)]
    planes += [plane.resize((320, 240)).point(lambda value: 16 + value * 224 // 255) for plane in chroma]
    frame = b"FRAME\n" + b"".join(plane.tobytes() for plane in planes)
    file = tmp_path_factory.mktemp("camera") / "coffee.y4m"
    file.write_bytes(b"YUV4MPEG2 W640 H480 F%d:1 Ip A1:1 C420jpeg\n" % _FRAMES_PER_SECOND + 2 * frame)
    return file


@pytest.fixture(scope="module")
def browser(playwright: Playwright, camera: Path) -> Iterator[Browser]:
    """Debian's Chromium, whose camera sees a coffee cup; pages still need permission to use it."""
    browser = playwright.chromium.launch(
        executable_path=chromium_program(),
        args=[
            "--no-sandbox",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={camera}",
        ],
    )
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def service(
    lite0: Model, cache_dir: Path, samples: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """`smartsight up` in an empty folder, without keys."""
    folder = tmp_path_factory.mktemp("service")
    with closing(PictureServer(samples)) as pictures, serving(folder, cache_dir, pictures) as url:
        yield Service(url, pictures)


@contextmanager
def serving(folder: Path, cache_dir: Path, pictures: PictureServer) -> Iterator[str]:
    """Run `smartsight up` on what lies in a folder, and give its URL."""
    log = folder / "log"
    with log.open("w") as words:
        environment = os.environ | settings_for(folder, cache_dir, pictures)
        command = [sys.executable, "-m", "smartsight", "up", "--port", "0"]
        with subprocess.Popen(command, env=environment, stdout=words, stderr=words) as process:
            try:
                wait_until(lambda: _ADDRESS.search(log.read_text()), _PATIENCE, "the service")
                yield _ADDRESS.findall(log.read_text())[0]
            finally:
                process.kill()


def settings_for(folder: Path, cache_dir: Path, pictures: PictureServer) -> dict[str, str]:
    """Return the settings of commands that work on what lies in a folder."""
    return {
        "SMARTSIGHT_CACHE_DIR": str(cache_dir),
        "SMARTSIGHT_DATA_DIR": str(folder / "data"),
        "SMARTSIGHT_OWN_HOSTS": pictures.place,
    }


def _context(browser: Browser, service: Service, device: dict[str, object]) -> BrowserContext:
    context = browser.new_context(base_url=service.url, **device)  # type: ignore[arg-type]
    context.set_default_timeout(20_000)
    return context


@pytest.fixture
def phone(browser: Browser, service: Service) -> Iterator[Page]:
    """A page on a phone whose owner lets it use the camera; nothing was visited before."""
    with closing(_context(browser, service, PHONE)) as context:
        context.grant_permissions(["camera"])
        yield context.new_page()


@pytest.fixture
def desk(browser: Browser, service: Service) -> Iterator[Page]:
    """A page on a desk; nothing was visited before."""
    with closing(_context(browser, service, DESK)) as context:
        yield context.new_page()


@pytest.fixture(scope="session")
def screenshot() -> Screenshot:
    _SCREENSHOTS.mkdir(exist_ok=True)

    def save(page: Page, name: str) -> None:
        page.screenshot(path=_SCREENSHOTS / f"{name}.png", full_page=True)

    return save


@pytest.fixture(scope="session")
def check_accessible() -> Callable[[Page], None]:
    """What fails if axe-core finds anything serious or critical on a page, or parts with the same name."""

    def check(page: Page) -> None:
        violations = Axe().run(page).response["violations"]
        serious = [
            one
            for one in violations
            if one["impact"] in ("serious", "critical") or one["id"].startswith("landmark-")
        ]
        nodes = [
            (one["id"], node["target"], node["failureSummary"]) for one in serious for node in one["nodes"]
        ]
        assert not nodes, "\n".join(f"{id} at {target}: {why}" for id, target, why in nodes)

    return check
