"""`smartsight cancel ID`: stop a job for good; what was done stays."""

from argparse import Namespace

from commands.parts import open_store
from commands.progress import counts_by_state
from commands.terminal import say
from shared.items import ItemState
from shared.settings import Settings
from shared.steering import cancel, cancel_rest


def run(options: Namespace, settings: Settings) -> int:
    """Cancel, and give every item without a result the state ``cancelled``."""
    with open_store(settings) as store:
        job = store.jobs.get(options.job)
        cancel(store, job)
        cancel_rest(store, store.jobs.get(job.id))
        counts = counts_by_state(store.results.tallies(job.id))
        cancelled = counts.pop(ItemState.CANCELLED, 0)
        say(f"Job {job.id}: {cancelled} images cancelled, {sum(counts.values())} results kept.")
    return 0
