"""`smartsight jobs [ID] --api`: which jobs the API knows, or how one of them stands."""

from argparse import Namespace
from itertools import dropwhile, islice

from commands.description import HEAD, description, line
from commands.jobs import LISTED
from commands.over_api.asking import described, open_client
from commands.terminal import show
from shared.settings import Settings


def run(options: Namespace, settings: Settings) -> int:
    """Show the newest jobs, or one."""
    with open_client(options, settings) as client:
        if options.job is None:
            found = client.jobs(limit=LISTED)
            if options.before:
                found = dropwhile(lambda job: job.id >= options.before, found)
            show(HEAD, *(line(described(job, options)) for job in islice(found, LISTED)))
        else:
            show(*description(described(client.job(options.job), options)))
    return 0
