"""`smartsight cancel ID --api`: stop a job of the API for good; what was done stays."""

from argparse import Namespace

from commands.over_api.asking import open_client
from commands.terminal import say
from shared.items import ItemState
from shared.settings import Settings


def run(options: Namespace, settings: Settings) -> int:
    """Cancel; what is in a worker's hands may get its result yet."""
    with open_client(options, settings) as client:
        job = client.cancel(options.job)
    pending, cancelled = job.counts[ItemState.PENDING], job.counts[ItemState.CANCELLED]
    if pending:
        say(f"Job {job.id}: {pending} images are being cancelled, {job.done} results kept.")
    else:
        say(f"Job {job.id}: {cancelled} images cancelled, {job.done - cancelled} results kept.")
    return 0
