"""The report as one HTML page: no script, nothing from outside, all foreign text escaped."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from results_api.report.report import Report, TimelineStep
from shared import words
from shared.errors import printable

_TEMPLATE = "report.html.jinja"
#: The pages' colours: a report is one file.
_PALETTE = Path(__file__).parents[1] / "static" / "palette.css"
_DAY = 86_400
#: Seconds between two ticks of the time axis.
_INTERVALS = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
    *(3600 * hours for hours in (1, 2, 3, 6, 12)),
    *(_DAY * days for days in (1, 2, 7, 14, 30, 90, 365, 3650)),
)
#: The most ticks of an axis: more do not fit on a phone.
_TIME_TICKS, _RATE_TICKS = 5, 4
#: From the bottom of a bar to its top.
_STACKED = ("succeeded", "failed", "skipped")


def render(report: Report) -> str:
    """Return the page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": words.number,
        "duration": words.duration,
        "size": words.size,
        "printable": printable,
        "moment": _moment,
    }
    chart = timeline_chart(report.steps, report.step_seconds) if report.steps else None
    return environment.get_template(_TEMPLATE).render(
        report=report,
        chart=chart,
        palette=Markup(_PALETTE.read_text("utf-8")),  # a file of ours
        share=words.share,
        pace=words.pace,
    )


def _moment(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


@dataclass(frozen=True, slots=True)
class Segment:
    """The part of a bar that one state takes; lengths are in per cent of the chart, ``y`` from its top."""

    state: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class TimelineBar:
    """One step of the time line; ``x`` and ``width`` are in per cent of the chart."""

    step: TimelineStep
    x: float
    width: float
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """A label of an axis, at a place in per cent of its length."""

    place: float
    label: str


@dataclass(frozen=True, slots=True)
class TimelineChart:
    """A bar chart of images a second over time, stacked by state; ``peak`` is the highest bar."""

    bars: tuple[TimelineBar, ...]
    times: tuple[Tick, ...]
    rates: tuple[Tick, ...]
    peak: float


def timeline_chart(steps: Sequence[TimelineStep], seconds: int) -> TimelineChart:
    """Return the chart of at least one step; each takes so many seconds."""
    first = steps[0].at.timestamp()
    span = steps[-1].at.timestamp() + seconds - first
    peak = max(_count(step) for step in steps) / seconds
    rates = rate_ticks(peak)
    top = max(rates[-1], peak) or 1.0
    times = time_ticks(first, first + span, _TIME_TICKS)
    labels = zip(times, tick_labels(times), strict=True)
    return TimelineChart(
        bars=tuple(_bar(step, seconds, first, span, top) for step in steps),
        times=tuple(Tick(100 * (time - first) / span, label) for time, label in labels),
        rates=tuple(Tick(100 * rate / top, f"{rate:,g}") for rate in rates),
        peak=peak,
    )


def _count(step: TimelineStep) -> int:
    return step.succeeded + step.failed + step.skipped


def _bar(step: TimelineStep, seconds: int, first: float, span: float, top: float) -> TimelineBar:
    segments, below = [], 0.0
    for state in _STACKED:
        height = 100 * getattr(step, state) / seconds / top
        below += height
        if height:
            segments.append(Segment(state, round(100 - below, 3), round(height, 3)))
    x = 100 * (step.at.timestamp() - first) / span
    return TimelineBar(step, round(x, 3), round(90 * seconds / span, 3), tuple(segments))


def rate_ticks(peak: float) -> list[float]:
    """Return round rates from 0 on, up to the peak or just above it."""
    if peak <= 0:
        return [0.0]
    power = 10.0 ** math.floor(math.log10(peak / (_RATE_TICKS - 1)))
    interval = next(step * power for step in (1, 2, 5, 10) if step * power * (_RATE_TICKS - 1) >= peak)
    return [round(interval * place, 12) for place in range(math.ceil(peak / interval - 1e-9) + 1)]


def time_ticks(first: float, last: float, most: int) -> list[int]:
    """Return round times, in seconds since 1970, between these two: at most so many, and at least one."""
    interval = next((step for step in _INTERVALS if (last - first) / step <= most - 1), _INTERVALS[-1])
    start = -int(-first // interval) * interval
    return list(range(start, int(last) + 1, interval)) or [int(first)]


def tick_labels(times: Sequence[int]) -> list[str]:
    """Return the labels of these times, in UTC."""
    if len(times) > 1 and times[1] - times[0] >= _DAY:
        return _on_two_lines(times, "%-d %b", "%Y")
    whole_minutes = all(time % 60 == 0 for time in times)
    return _on_two_lines(times, "%H:%M" if whole_minutes else "%H:%M:%S", "%-d %b")


def _on_two_lines(times: Sequence[int], form: str, larger_form: str) -> list[str]:
    """Return labels with the larger unit on a second line wherever it changes."""
    labels, before = [], ""
    for time in times:
        moment = datetime.fromtimestamp(time, UTC)
        larger = moment.strftime(larger_form)
        labels.append(moment.strftime(form) + (f"\n{larger}" if larger != before else ""))
        before = larger
    return labels
