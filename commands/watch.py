"""`smartsight watch ID`: follow a job until it is over."""

import time
from argparse import Namespace
from collections.abc import Iterable, Iterator

from commands.description import Described, described, ending, has_labelled_all
from commands.parts import open_store
from commands.progress import done, show_progress
from commands.terminal import say
from shared.items import JobState
from shared.settings import Settings
from shared.store.store import Store

#: Seconds between two looks.
_INTERVAL = 1.0


def run(options: Namespace, settings: Settings) -> int:
    """Return 0 if every image got its labels, else 1."""
    with open_store(settings) as store:
        return show_course(_course(store, options.job))


def show_course(course: Iterable[Described]) -> int:
    """Show how a job gets on, look by look, and what it came to; return the exit status."""
    looks = iter(course)
    job = next(looks)
    done_before, started = done(job.tallies), time.monotonic()
    progress = show_progress(job.submitted, done_before)
    try:
        progress.update(job.tallies, job.submitted)
        for job in looks:
            progress.update(job.tallies, job.submitted)
    finally:
        progress.close()
    for words in ending(job, done_before, time.monotonic() - started):
        say(words)
    return 0 if has_labelled_all(job) else 1


def _course(store: Store, job_id: int) -> Iterator[Described]:
    """Yield how a job stands, again and again, until it is over or paused."""
    while True:
        job = described(store, store.jobs.get(job_id))
        yield job
        if job.state.is_over or job.state is JobState.PAUSED:
            return
        time.sleep(_INTERVAL)
