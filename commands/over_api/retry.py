"""`smartsight retry ID --api`: run what failed in a job of the API once more, by its cause."""

from argparse import Namespace

from commands.over_api.asking import open_client
from commands.terminal import say
from shared.settings import Settings


def run(options: Namespace, settings: Settings) -> int:
    """Take back the failures with the codes named, or with those whose cause may have passed."""
    with open_client(options, settings) as client:
        job = client.retry(options.job, options.code)
    say(f"Job {job.id}: {job.retried} images are tried again.")
    return 0
