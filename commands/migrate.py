"""`smartsight migrate`: bring the database's tables up to date, as every command does when it begins."""

from argparse import Namespace

from commands.parts import open_store
from commands.terminal import say
from shared.settings import Settings


def run(_options: Namespace, settings: Settings) -> int:
    """Open the database, which migrates it."""
    with open_store(settings) as store:
        say(f"The tables are up to date: {store.name}")
    return 0
