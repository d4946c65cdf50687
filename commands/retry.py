"""`smartsight retry ID`: run what failed once more, by its cause."""

from argparse import Namespace

from commands.messages import say
from commands.parts import open_store
from commands.steering import refused
from producer.tending import forget_failed
from shared.errors import Code
from shared.settings import Settings


def run(options: Namespace, settings: Settings) -> int:
    """Take back the failures with the codes named, or with those whose cause may have passed."""
    codes = options.code or [code for code in Code if code.transient]
    with open_store(settings) as store:
        job = store.job(options.job)
        if not store.reopen(job.id):
            raise refused(job, "only what is recorded as a whole, and not cancelled, can be tried again")
        count = forget_failed(store, job, codes)
        store.publish_again(job.id)
        store.seal(job.id)
        if not count:
            store.complete(job.id)
        say(f"Job {job.id}: {count} images are tried again.")
    return 0
