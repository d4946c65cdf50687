"""`smartsight report ID`: write what a job came to and why, as a page and as JSON."""

import json
import os
from argparse import Namespace

from commands.backend import open_backend
from commands.terminal import say, show
from results_api.exports import STDOUT, open_stream
from shared.errors import Code, UsageError
from shared.settings import Settings

_FORMATS = {".html": "html", ".json": "json"}


def run(options: Namespace, settings: Settings) -> int:
    """Write the report, and print its sentences."""
    targets = [options.output] if options.output else [f"report-{options.job}{end}" for end in _FORMATS]
    formats = [_format_of(target) for target in targets]
    with open_backend(options, settings) as backend:
        report = backend.report(options.job, {*formats, "json"})
    for target, format in zip(targets, formats, strict=True):
        with open_stream(target) as stream:
            stream.write(report[format].encode())
    sentences = json.loads(report["json"])["sentences"]
    if targets == [STDOUT]:
        for sentence in sentences:
            say(sentence)
    else:
        show(*sentences)
        say(f"Written: {', '.join(targets)}")
    return 0


def _format_of(target: str) -> str:
    ending = ".json" if target == STDOUT else os.path.splitext(target)[1].lower()
    if ending not in _FORMATS:
        raise UsageError(Code.OUTPUT_UNSUPPORTED, f"{target}: its ending is none of {', '.join(_FORMATS)}")
    return _FORMATS[ending]
