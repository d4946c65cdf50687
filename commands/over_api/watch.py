"""`smartsight watch ID --api`: follow a job of the API until it is over."""

from argparse import Namespace

from commands.over_api.asking import described, open_client
from commands.watch import show_course
from shared.settings import Settings


def run(options: Namespace, settings: Settings) -> int:
    """Return 0 if every image got its labels, else 1."""
    with open_client(options, settings) as client:
        return show_course(described(job, options) for job in client.follow(options.job))
