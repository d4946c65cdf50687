"""The brand's files: harmless to show, in the sizes that are asked for, of colours that can be read."""

import re
from collections.abc import Iterator
from math import hypot
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image
from PIL.IcoImagePlugin import IcoImageFile

_STATIC = Path(__file__).parents[2] / "results_api" / "static"
_ART, _ICONS = _STATIC / "art", _STATIC / "icons"
_MARKS = ("mark", "mark-api", "mark-engine", "mark-app")
_DRAWINGS = (*_MARKS, "logo", "icon", "icon-maskable")
_SVGS = (*(_ART / f"{name}.svg" for name in _DRAWINGS), _ICONS / "favicon.svg")
_SIDES = {
    "icon-192.png": 192,
    "icon-512.png": 512,
    "icon-maskable-192.png": 192,
    "icon-maskable-512.png": 512,
    "apple-touch-icon.png": 180,
}
_TO_THE_EDGE = ("icon-maskable-192.png", "icon-maskable-512.png", "apple-touch-icon.png")
_TAGS = {"svg", "title", "style", "g", "path", "circle", "rect"}
_SVG = '<svg xmlns="http://www.w3.org/2000/svg"{}>{}</svg>'


def _faults(svg: str) -> Iterator[str]:
    """Yield what a browser could run or fetch, and what would need a font."""
    if "<!" in svg or "<?" in svg:
        yield "a declaration"
    for element in ElementTree.fromstring(svg).iter():
        tag = element.tag.removeprefix("{http://www.w3.org/2000/svg}")
        if tag not in _TAGS:
            yield tag
        for name, value in element.attrib.items():
            if name.startswith("on") or name.endswith("href") or "url(" in value:
                yield f"{name}={value}"
        if tag == "style" and re.search(r"url\(|@import|@font-face|\\", element.text or ""):
            yield "a style that fetches"


@pytest.mark.parametrize("path", _SVGS, ids=lambda path: path.name)
def test_a_drawing_is_shapes_and_nothing_else(path: Path) -> None:
    assert list(_faults(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "svg",
    [
        _SVG.format("", "<script>1</script>"),
        _SVG.format("", "<text>SmartSight</text>"),
        _SVG.format("", '<image href="https://example.com/a.png"/>'),
        _SVG.format("", '<path href="//example.com/a"/>'),
        _SVG.format("", '<path fill="url(https://example.com/a#b)"/>'),
        _SVG.format("", "<style>@import '//example.com/a.css'</style>"),
        _SVG.format(' onload="1"', ""),
        '<?xml-stylesheet href="//example.com/a.css"?>' + _SVG.format("", ""),
        "<svg/>".replace("svg", "html"),
    ],
)
def test_a_drawing_that_is_more_than_shapes_is_noticed(svg: str) -> None:
    assert list(_faults(svg))


def test_every_file_of_the_brand_is_looked_at() -> None:
    assert {path for folder in (_ART, _ICONS) for path in folder.glob("*.svg")} == set(_SVGS)
    assert {path.name for path in _ICONS.glob("*.png")} == set(_SIDES)


def test_the_marks_differ_in_what_looks_out_of_them_only() -> None:
    outlines = {_shapes(name)[0] for name in (*_MARKS, "logo")}
    assert len(outlines) == 1
    assert len({_shapes(name)[1] for name in _MARKS}) == len(_MARKS)


def _shapes(name: str) -> list[str]:
    return re.findall(r"<(?:path|rect) .*/>", (_ART / f"{name}.svg").read_text("utf-8"))


@pytest.mark.parametrize(("name", "side"), _SIDES.items())
def test_an_icon_has_its_size_and_shows_something(name: str, side: int) -> None:
    with Image.open(_ICONS / name) as icon:
        assert (icon.format, icon.size) == ("PNG", (side, side))
        assert len(icon.convert("RGBA").getcolors(side * side) or []) > 1


def test_the_favicon_is_the_mark_in_each_size() -> None:
    assert (_ICONS / "favicon.svg").read_bytes() == (_ART / "mark.svg").read_bytes()
    with Image.open(_ICONS / "favicon.ico") as icon:
        assert isinstance(icon, IcoImageFile)
        assert icon.ico.sizes() == {(16, 16), (32, 32)}
        for size in icon.ico.sizes():
            assert icon.ico.getimage(size).convert("RGBA").getchannel("A").getextrema() == (0, 255)


@pytest.mark.parametrize("name", _TO_THE_EDGE)
def test_a_platform_may_cut_a_circle_out_of_an_icon(name: str) -> None:
    """Web Application Manifest, "Icon masks": four tenths of the side around the centre are always shown."""
    with Image.open(_ICONS / name) as opened:
        icon = opened.convert("RGBA")
    side = icon.width
    ground = icon.getpixel((0, 0))
    assert icon.getchannel("A").getextrema() == (255, 255)
    assert icon.getpixel((side // 2, side // 2)) != ground
    for y in range(side):
        for x in range(side):
            if hypot(x + 0.5 - side / 2, y + 0.5 - side / 2) > 0.4 * side:
                assert icon.getpixel((x, y)) == ground, (x, y)


def test_colours_can_be_read_on_light_and_on_dark() -> None:
    """WCAG 2.2, success criterion 1.4.3: 4.5 for text; 1.4.11: 3 for a mark, even without its style."""
    light, dark = re.findall(r"#[0-9a-f]{6}", (_ART / "mark.svg").read_text("utf-8"))
    assert _contrast(light, "#ffffff") >= 4.5
    assert _contrast(dark, "#10161c") >= 4.5
    assert _contrast(light, "#10161c") >= 3


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    """Return the relative luminance as WCAG 2.2 defines it."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
