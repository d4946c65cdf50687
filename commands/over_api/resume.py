"""`smartsight resume ID --api`: go on with a paused job of the API."""

from argparse import Namespace

from commands.over_api.asking import open_client
from commands.terminal import say
from shared.settings import Settings


def run(options: Namespace, settings: Settings) -> int:
    """Resume, under a new failure budget or none."""
    with open_client(options, settings) as client:
        job = client.resume(options.job, options.max_failure_rate)
    say(f"Job {job.id} goes on.")
    return 0
