"""Draw the icons for browsers and phones from the SVG logo files, with Chromium."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

_STATIC = Path(__file__).parents[1] / "results_api" / "static"
_ART = _STATIC / "art"
_ICONS = _STATIC / "icons"
#: Each PNG, its SVG source, and its side in pixels.
_DRAWN = (
    ("icon-192.png", "icon.svg", 192),
    ("icon-512.png", "icon.svg", 512),
    ("icon-maskable-192.png", "icon-maskable.svg", 192),
    ("icon-maskable-512.png", "icon-maskable.svg", 512),
    ("apple-touch-icon.png", "icon-maskable.svg", 180),
)
_FAVICON_SIDES = (16, 32)
#: More colours make no visible difference, even at edges.
_COLOURS = 64


def main() -> None:
    """Rewrite all files of the icons folder."""
    _ICONS.mkdir(exist_ok=True)
    shutil.copyfile(_ART / "mark.svg", _ICONS / "favicon.svg")
    with _chromium() as page:
        for name, source, side in _DRAWN:
            _small(_draw(page, source, side)).save(_ICONS / name, optimize=True)
        drawn = [_draw(page, "mark.svg", side) for side in _FAVICON_SIDES]
    sides = [image.size for image in drawn]
    drawn[-1].save(_ICONS / "favicon.ico", sizes=sides, append_images=drawn[:-1])


@contextmanager
def _chromium() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser.new_page(color_scheme="light")
        browser.close()


def _draw(page: Page, source: str, side: int) -> Image.Image:
    page.set_viewport_size({"width": side, "height": side})
    page.goto((_ART / source).as_uri())
    return Image.open(BytesIO(page.screenshot(omit_background=True))).convert("RGBA")


def _small(image: Image.Image) -> Image.Image:
    """Return the image with a palette that keeps transparency."""
    if image.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB").quantize(_COLOURS)
    return image.quantize(_COLOURS, method=Image.Quantize.FASTOCTREE)


if __name__ == "__main__":
    main()
