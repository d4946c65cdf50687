"""`smartsight cancel ID`: stop a job for good; what was done stays."""

from argparse import Namespace

from commands.messages import say
from commands.parts import open_store
from commands.progress import counts_by_state
from commands.steering import refused
from producer.tending import cancel_rest
from shared.items import ItemState, JobState
from shared.settings import Settings


def run(options: Namespace, settings: Settings) -> int:
    """Cancel, and give every item without a result the state ``cancelled``."""
    with open_store(settings) as store:
        job = store.job(options.job)
        if not store.cancel(job.id) and store.job(job.id).state is not JobState.CANCELLING:
            raise refused(job, "there is nothing to cancel")
        cancel_rest(store, store.job(job.id))
        counts = counts_by_state(store.tallies(job.id))
        cancelled = counts.pop(ItemState.CANCELLED, 0)
        say(f"Job {job.id}: {cancelled} images cancelled, {sum(counts.values())} results kept.")
    return 0
