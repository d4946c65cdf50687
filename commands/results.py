"""`smartsight results ID`: the results that a job has so far."""

from argparse import Namespace

from commands.description import Described, described
from commands.parts import open_store
from commands.progress import done
from commands.terminal import line_of, say, show
from results_api.exports import check_output, write_results
from results_api.rows import all_rows
from shared.settings import Settings
from shared.store.store import Filter


def run(options: Namespace, settings: Settings) -> int:
    """Write the results in the order of the references; those that are missing yet are left out."""
    if options.output:
        check_output(options.output)
    with open_store(settings) as store:
        job = store.jobs.get(options.job)
        if options.output:
            write_results(store, job, Filter(), options.output)
        else:
            for rows in all_rows(store, job, Filter()):
                show(*map(line_of, rows))
        tell_missing(described(store, job))
    return 0


def tell_missing(job: Described) -> None:
    """Say how many images have no result, if there are any."""
    missing = job.submitted - done(job.tallies)
    if missing > 0:
        say(f"Job {job.id} is {job.state}: {missing} of {job.submitted} images have no result yet.")
