"""`smartsight resume ID`: go on with a paused job."""

from argparse import Namespace

from commands.parts import open_store
from commands.terminal import say
from shared.settings import Settings
from shared.steering import resume


def run(options: Namespace, settings: Settings) -> int:
    """Resume, under a new failure budget or none."""
    with open_store(settings) as store:
        resume(store, store.jobs.get(options.job), options.max_failure_rate)
        say(f"Job {options.job} goes on.")
    return 0
