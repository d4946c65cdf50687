"""`smartsight retry ID`: run what failed once more, by its cause."""

from argparse import Namespace

from commands.parts import open_store
from commands.terminal import say
from shared.settings import Settings
from shared.steering import retry


def run(options: Namespace, settings: Settings) -> int:
    """Take back the failures with the codes named, or with those whose cause may have passed."""
    with open_store(settings) as store:
        count = retry(store, store.jobs.get(options.job), options.code)
        say(f"Job {options.job}: {count} images are tried again.")
    return 0
