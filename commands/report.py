"""`smartsight report ID`: what a job came to and why, as a page and as JSON."""

import os
from argparse import Namespace
from collections.abc import Callable

from commands.parts import open_store
from commands.terminal import say, show
from results_api.exports import STDOUT, open_stream
from results_api.report.report import Report, make_report
from shared.errors import Code, UsageError
from shared.settings import Settings

#: Rows of each list.
_TOP = 20


def run(options: Namespace, settings: Settings) -> int:
    """Write the report, and print its sentences."""
    targets = [options.output] if options.output else [f"report-{options.job}{end}" for end in _WRITERS]
    writers = [(target, _writer_for(target)) for target in targets]
    with open_store(settings) as store:
        summary = store.summaries.get(options.job, settings.host_delay, _TOP)
        report = make_report(summary, store.models.get(summary.job.model_id))
    for target, write in writers:
        text = write(report)
        with open_stream(target) as stream:
            stream.write(text.encode())
    _print(report, targets)
    return 0


def _print(report: Report, targets: list[str]) -> None:
    if targets == [STDOUT]:
        for sentence in report.sentences:
            say(sentence)
    else:
        show(*report.sentences)
        say(f"Written: {', '.join(targets)}")


def _writer_for(target: str) -> Callable[[Report], str]:
    ending = ".json" if target == STDOUT else os.path.splitext(target)[1].lower()
    if ending not in _WRITERS:
        known = ", ".join(_WRITERS)
        raise UsageError(Code.OUTPUT_UNSUPPORTED, f"{target}: its ending is none of {known}")
    return _WRITERS[ending]


def _page(report: Report) -> str:
    from results_api.report.page import render

    return render(report)


_WRITERS: dict[str, Callable[[Report], str]] = {".html": _page, ".json": Report.as_json}
