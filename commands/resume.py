"""`smartsight resume ID`: go on with a paused job."""

from argparse import Namespace

from commands.messages import say
from commands.parts import open_store
from commands.steering import refused
from shared.settings import Settings


def run(options: Namespace, settings: Settings) -> int:
    """Resume, under a new failure budget or none."""
    with open_store(settings) as store:
        job = store.job(options.job)
        if not store.resume(job.id, options.max_failure_rate):
            raise refused(job, "only a paused one can be resumed")
        say(f"Job {job.id} goes on.")
    return 0
