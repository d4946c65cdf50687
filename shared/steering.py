"""What the owner of a job can do with it, by command or over the API."""

from collections.abc import Collection

from shared.errors import Code, UsageError
from shared.items import JobState
from shared.store.store import Job, Store

#: Items cancelled, taken back or removed in one transaction.
_AT_ONCE = 10_000


def cancel(store: Store, job: Job) -> None:
    """Stop a job for good; ``cancel_rest`` ends what has no result.

    Raises ``UsageError(job_not_ready)``, as all of these do, if the job is in no state for it.
    """
    if not store.jobs.cancel(job.id) and store.jobs.get(job.id).state is not JobState.CANCELLING:
        raise _refused(job, "there is nothing to cancel")


def cancel_rest(store: Store, job: Job) -> None:
    """Give every item of a job that has no result the state ``cancelled``, and end the job."""
    for start in range(0, job.submitted, _AT_ONCE):
        store.results.cancel_pending(job.id, start, start + _AT_ONCE)
    store.jobs.complete(job.id)


def resume(store: Store, job: Job, max_failure_rate: float | None) -> None:
    """Go on with a paused job, under a new failure budget or none."""
    if not store.jobs.resume(job.id, max_failure_rate):
        raise _refused(job, "only a paused one can be resumed")


def retry(store: Store, job: Job, codes: Collection[Code]) -> int:
    """Take back the failures with these codes, or with those whose cause may have passed; return how many."""
    wanted = codes or [code for code in Code if code.transient]
    if not store.jobs.reopen(job.id):
        raise _refused(job, "only what is recorded as a whole, and not cancelled, can be tried again")
    starts = range(0, job.submitted, _AT_ONCE)
    count = sum(store.results.forget_failed(job.id, wanted, start, start + _AT_ONCE) for start in starts)
    store.jobs.publish_again(job.id)
    store.jobs.mark_recorded(job.id)
    if not count:
        store.jobs.complete(job.id)
    return count


def delete(store: Store, job: Job) -> None:
    """Hide a job that is over, for good; ``remove_rest`` takes its rows away."""
    if not store.jobs.delete(job.id):
        raise _refused(job, "cancel it first")


def remove_rest(store: Store, job: Job) -> None:
    """Take away all that is stored of a deleted job."""
    for start in range(0, job.submitted, _AT_ONCE):
        store.jobs.remove_items(job.id, start, start + _AT_ONCE)
    store.jobs.remove(job.id)


def _refused(job: Job, what: str) -> UsageError:
    return UsageError(Code.JOB_NOT_READY, f"job {job.id} is {job.state}: {what}")
