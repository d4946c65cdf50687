"""`smartsight submit --dry-run`: fetch and label a sample of a list, and say what the whole will come to."""

from argparse import Namespace
from collections.abc import Iterable

from commands.estimates import words_of
from commands.sample_run import SampleRun, found_in
from commands.terminal import quiet_logs, say, show
from producer.references import Entry
from shared.errors import Code, ResourceError
from shared.settings import Settings


def run_dry(options: Namespace, settings: Settings, entries: Iterable[Entry]) -> int:
    """Say what is to be expected of a list; nothing of it is recorded."""
    run = SampleRun(entries, options.sample, options.model or settings.model, settings)
    if not run.listed.total:
        raise ResourceError(Code.NOTHING_TO_LABEL, ", ".join(options.sources))
    say(f"{found_in(run.listed)}; trying {len(run.sampled)} of them ...")
    quiet_logs()
    show(*words_of(run.run(lambda _: None)))
    return 0
