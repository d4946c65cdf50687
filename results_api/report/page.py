"""The report as one HTML page: no script, nothing from outside, every word of a stranger's escaped."""

from datetime import datetime
from pathlib import Path

from results_api.report import words
from results_api.report.plots import histogram, timeline
from results_api.report.report import Report
from shared.errors import printable

_TEMPLATE = "report.html.jinja"


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
    # The pictures are our own markup, in which matplotlib has escaped what is a stranger's.
    plots = {
        "timeline": [Markup(svg) for svg in timeline(report.steps, report.step_seconds)]
        if report.steps
        else [],
        "histogram": [Markup(svg) for svg in histogram(report.classes)] if report.classes else [],
    }
    return environment.get_template(_TEMPLATE).render(
        report=report, plots=plots, share=words.share, pace=words.pace
    )


def _moment(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
