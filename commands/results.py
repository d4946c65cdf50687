"""`smartsight results ID`: write the results that a job has so far."""

from argparse import Namespace
from typing import TYPE_CHECKING

from commands.backend import open_backend
from commands.terminal import line_of, say, show
from results_api.exports import check_output
from shared.hosts import host_named
from shared.settings import Settings

if TYPE_CHECKING:
    from api_client.client import ResultFilters


def run(options: Namespace, settings: Settings) -> int:
    """Write the results in the order of the list, without the images that have none yet."""
    if options.output:
        check_output(options.output)
    filters = _filters(options)
    with open_backend(options, settings) as backend:
        backend.job(options.job)  # if there is none, an existing file must not be replaced
        if options.output:
            backend.write_results(options.job, filters, options.output)
        else:
            for rows in filter(None, backend.results(options.job, filters)):
                show(*map(line_of, rows))
        job = backend.job(options.job)
    pending = job.submitted - job.done
    if pending > 0:
        say(f"Job {job.id} is {job.state}: {pending} of {job.submitted} images have no result yet.")
    return 0


def _filters(options: Namespace) -> "ResultFilters":
    given = {
        "state": options.state,
        "code": options.code,
        "class_": options.class_,
        "min_score": options.min_score,
        "host": None if options.host is None else host_named(options.host),
    }
    filters: ResultFilters = {}
    for name, value in given.items():
        if value is not None:
            filters[name] = value  # type: ignore[literal-required]
    return filters
