"""`smartsight watch ID`: follow a job until it is over."""

import time
from argparse import Namespace

from commands.messages import say
from commands.parts import open_store
from commands.progress import Progress, done, show_progress
from commands.summary import all_succeeded, summary
from shared.items import JobState
from shared.settings import Settings
from shared.store.store import Job, Store

#: Seconds between two looks.
_INTERVAL = 1.0


def run(options: Namespace, settings: Settings) -> int:
    """Return 0 if every image got its labels, else 1."""
    with open_store(settings) as store:
        job = store.job(options.job)
        done_before, started = done(store.tallies(job.id)), time.monotonic()
        progress = show_progress(job.submitted, done_before)
        try:
            job = _follow(store, job, progress)
        finally:
            progress.close()
        tallies = store.tallies(job.id)
        say(f"Job {job.id} is {job.state}{f': {job.reason}' if job.reason else ''}.")
        for line in summary(tallies, done(tallies) - done_before, time.monotonic() - started):
            say(line)
        return 0 if job.state is JobState.COMPLETED and all_succeeded(tallies) else 1


def _follow(store: Store, job: Job, progress: Progress) -> Job:
    while not (job.state.is_over or job.state is JobState.PAUSED):
        progress.update(store.tallies(job.id), job.submitted)
        time.sleep(_INTERVAL)
        job = store.job(job.id)
    return job
