"""`smartsight jobs [ID]`: which jobs there are, or how one of them stands."""

from argparse import Namespace

from commands.description import HEAD, described, description, line
from commands.parts import open_store
from commands.terminal import show
from shared.settings import Settings

#: Jobs of one list.
LISTED = 20


def run(options: Namespace, settings: Settings) -> int:
    """Show the newest jobs, or one."""
    with open_store(settings) as store:
        if options.job is None:
            found = store.jobs.newest(options.before, LISTED)
            show(HEAD, *(line(described(store, job)) for job in found))
        else:
            show(*description(described(store, store.jobs.get(options.job))))
    return 0
