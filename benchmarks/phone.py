"""The phone page on a 3G profile: bytes, first paint, and time from a photo to its label."""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from benchmarks.api import service
from benchmarks.measure import median, pictures, print_table
from tests.servers.binaries import chromium_program

_ROUNDS = 5
#: Bytes per second and milliseconds of browsers' "Fast 3G" profile.
_PROFILE = {"offline": False, "downloadThroughput": 200_000, "uploadThroughput": 93_750, "latency": 150}
_PHOTO = (4032, 3024)
#: Noise of a phone's sensor in daylight, out of 255.
_GRAIN = 4
_ORIENTATION, _LYING = 0x0112, 6
_FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
_WATCHED = """() => {
    const sight = document.getElementById("sight");
    const file = document.getElementById("file");
    const post = window.fetch;
    file.addEventListener("change", () => { window.chosen = performance.now(); }, true);
    window.fetch = (url, how) => {
        window.asked = performance.now();
        window.sent = how.body.size;
        return post(url, how);
    };
    new MutationObserver(() => {
        if (sight.dataset.state === "answered") window.answered = performance.now();
    }).observe(sight, { attributeFilter: ["data-state"] });
}"""
_TIMES = "[window.asked - window.chosen, window.answered - window.chosen, window.sent]"


@dataclass(frozen=True)
class _Round:
    """Bytes received; milliseconds to the first paint, the request and the label; bytes sent."""

    weight: float
    paint: float
    shrunk: float
    labelled: float
    sent: float


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, service("api") as port, _chromium() as browser:
        photos = [_photo(path, Path(folder, path.name)) for path in pictures()[:_ROUNDS]]
        rounds = [_round(browser, f"http://127.0.0.1:{port}", photo) for photo in photos]
        sizes = [photo.stat().st_size for photo in photos]
    _print(rounds, sizes)


@contextmanager
def _chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        program = chromium_program()
        with closing(playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])) as browser:
            yield browser


def _photo(path: Path, target: Path) -> Path:
    """Write a picture as an upright 12-megapixel phone would."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB").resize(_PHOTO), np.float32)
    grain = np.random.default_rng(0).normal(0, _GRAIN, pixels.shape).astype(np.float32)
    exif = Image.Exif()
    exif[_ORIENTATION] = _LYING
    photo = Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8))
    photo.save(target, "JPEG", quality=90, exif=exif)
    return target


def _round(browser: Browser, url: str, photo: Path) -> _Round:
    """Visit the page for the first time and classify a photo."""
    size = {"width": 360, "height": 740}
    with closing(browser.new_context(viewport=size, is_mobile=True, has_touch=True)) as context:  # type: ignore[arg-type]
        page = context.new_page()
        weights = _throttled(context.new_cdp_session(page))
        page.goto(url)
        page.wait_for_load_state("networkidle")
        weight, paint = sum(weights), page.evaluate(_FIRST_PAINT)
        return _Round(weight, paint, *_labelled(page, photo))


def _throttled(network: CDPSession) -> Sequence[float]:
    """Throttle a page's network; return a list that collects the sizes of all responses."""
    weights: list[float] = []
    network.on("Network.loadingFinished", lambda event: weights.append(event["encodedDataLength"]))
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", _PROFILE)
    return weights


def _labelled(page: Page, photo: Path) -> tuple[float, float, float]:
    """Return the milliseconds until a photo is sent and labelled, and the bytes sent."""
    page.evaluate(_WATCHED)
    page.set_input_files("#file", photo)
    page.locator("#answer, #failure").locator("visible=true").wait_for()
    if page.locator("#failure").is_visible():
        sys.exit(f"no label: {page.locator('#failure').inner_text()}")
    shrunk, labelled, sent = page.evaluate(_TIMES)
    return shrunk, labelled, sent


def _print(rounds: Sequence[_Round], sizes: Sequence[int]) -> None:
    def middle(name: str, unit: float) -> float:
        return median(getattr(one, name) for one in rounds) / unit

    print_table(
        ("the phone page, first visit, 1.6 Mbit/s down, 0.75 up, 150 ms", "median", "aim"),
        [
            ("kB on the wire", f"{middle('weight', 1000):.1f}", "under 60"),
            ("seconds to the first paint", f"{middle('paint', 1000):.2f}", "under 1"),
            ("MB of a photo of 12 megapixels", f"{median(sizes) / 1e6:.1f}", ""),
            ("kB of it that are sent", f"{middle('sent', 1000):.1f}", "under 100"),
            ("seconds from the photo to the request", f"{middle('shrunk', 1000):.2f}", ""),
            ("seconds from the photo to the label", f"{middle('labelled', 1000):.2f}", "under 2"),
        ],
    )
    print("\nto the label, by round:", ", ".join(f"{one.labelled / 1000:.2f}" for one in rounds))


if __name__ == "__main__":
    main()
