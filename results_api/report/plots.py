"""The report's pictures: SVG to stand in a page, drawn by matplotlib in the colours of the page."""

import io
import logging
import re
import warnings
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

from results_api.report.report import ClassLine, Step
from results_api.report.ticks import tick_labels, ticks
from shared.errors import printable

#: Pictures for a desk and for a phone: what fits the one cannot be read on the other. Pixels, letters.
_WIDE, _NARROW = (720, 44), (330, 22)
#: Matplotlib counts in points; with as many a inch, a point is a pixel of the picture.
_DPI = 72
#: Pixels from the left that names take, a character.
_CHARACTER = 6.8
#: Stand-ins: the page's style says which colours they are, in the light and in the dark.
_COLOURS = {
    "#010101": "var(--text)",
    "#020202": "var(--line)",
    "#030303": "var(--succeeded)",
    "#040404": "var(--failed)",
    "#050505": "var(--skipped)",
    "#060606": "var(--pale)",
}
_TEXT, _LINE, *_STATES, _PALE = _COLOURS
_SETTINGS: Any = {
    "svg.fonttype": "none",  # text stays text: it can be searched, read aloud and set in the page's font
    "font.size": 12,
    "text.color": _TEXT,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _TEXT,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _TEXT,
    "ytick.labelcolor": _TEXT,
}
#: Matplotlib's settings are those of the whole process.
_DRAWING = Lock()


def timeline(steps: Sequence[Step], seconds: int) -> tuple[str, str]:
    """Return pictures, wide and narrow, of how many images ended a second, by state."""
    return _both(
        "Images per second over time, by state", lambda width, _: _draw_timeline(steps, seconds, width)
    )


def histogram(classes: Sequence[ClassLine]) -> tuple[str, str]:
    """Return pictures, wide and narrow, of the commonest classes: all images, and different ones."""
    return _both(
        "Images by class, with and without copies", lambda width, room: _draw_classes(classes, width, room)
    )


def _both(title: str, draw: Callable[[int, int], Any]) -> tuple[str, str]:
    return _svg(title, draw, *_WIDE), _svg(title, draw, *_NARROW)


def _svg(title: str, draw: Callable[[int, int], Any], width: int, room: int) -> str:
    """Return a drawing as an SVG element that is the same whenever it is drawn."""
    # It would tell the user where it keeps its cache, and that it looks for fonts.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib

    stream = io.StringIO()
    with _DRAWING, matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()  # whatever the user's own settings are
        matplotlib.rcParams.update(_SETTINGS | {"svg.hashsalt": f"{title} {width}"})
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the page's fonts have it
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        draw(width, room).savefig(stream, format="svg", transparent=True, metadata=nothing)
    return _embedded(stream.getvalue(), title)


def _embedded(svg: str, title: str) -> str:
    """Return the element alone, without names that occur in every picture, in the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub("<[^>]*>", lambda tag: _in_page_colours(tag[0]), svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)


def _in_page_colours(tag: str) -> str:
    tag = re.sub(r'^<g id="[^"]*"', "<g", tag)
    return re.sub("|".join(_COLOURS), lambda found: _COLOURS[found[0]], tag)


def _figure(width: int, height: int, left: float, bottom: float, top: float = 8) -> tuple[Any, Any]:
    """Return a figure of this size in pixels, and its axes within these margins."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
    place = (left / width, bottom / height, 1 - (left + 8) / width, 1 - (bottom + top) / height)
    axes = figure.add_axes(place)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)
    return figure, axes


def _draw_timeline(steps: Sequence[Step], seconds: int, width: int) -> Any:
    figure, axes = _figure(width, 220, left=44, bottom=42)
    starts = [step.at.timestamp() for step in steps]
    below = [0.0] * len(steps)
    for state, colour in zip(("succeeded", "failed", "skipped"), _STATES, strict=True):
        heights = [getattr(step, state) / seconds for step in steps]
        axes.bar(starts, heights, width=0.9 * seconds, bottom=below, align="edge", color=colour)
        below = [low + height for low, height in zip(below, heights, strict=True)]
    times = ticks(starts[0], starts[-1] + seconds, 4 if width < _WIDE[0] else 7)
    axes.set_xticks(times, tick_labels(times))
    axes.locator_params(axis="y", nbins=4)
    axes.grid(axis="y", color=_LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    return figure


def _draw_classes(classes: Sequence[ClassLine], width: int, room: int) -> Any:
    names = [_shortened(line.name, room) for line in classes]
    left = 16 + _CHARACTER * max(map(len, names))
    figure, axes = _figure(width, 20 + 24 * len(classes), left, bottom=8)
    rows = range(len(classes))
    axes.barh(rows, [line.count for line in classes], height=0.62, color=_PALE)
    axes.barh(rows, [line.contents for line in classes], height=0.62, color=_STATES[0])
    for row, line in enumerate(classes):
        axes.annotate(
            f"{line.count:,}", (line.count, row), (5, 0), textcoords="offset points", va="center", fontsize=11
        )
    axes.set_yticks(rows, names)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)  # a name with dollar signs is no formula
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.set_xlim(0, 1.15 * max(line.count for line in classes))
    axes.set_ylim(len(classes) - 0.5, -0.5)
    return figure


def _shortened(name: str, room: int) -> str:
    name = printable(name)
    return name if len(name) <= room else name[: room - 1].rstrip(", ") + "…"
