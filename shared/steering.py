"""What the owner of a job can do with it, by command or over the API."""

from collections.abc import Collection
from typing import Protocol

from shared.errors import Code, UsageError
from shared.items import JobState
from shared.store.store import Job

#: Items cancelled, taken back or removed in one transaction.
_AT_ONCE = 10_000


class CancelStore(Protocol):
    """What ending the rest of a job needs of the store."""

    def cancel_pending(self, job_id: int, start: int, stop: int) -> None:
        """See ``Store``."""
        ...

    def complete(self, job_id: int) -> bool:
        """See ``Store``."""
        ...


class RemovalStore(Protocol):
    """What removing a deleted job needs of the store."""

    def remove_items(self, job_id: int, start: int, stop: int) -> None:
        """See ``Store``."""
        ...

    def remove_job(self, job_id: int) -> bool:
        """See ``Store``."""
        ...


class SteeringStore(CancelStore, RemovalStore, Protocol):
    """What steering needs of the store."""

    def job(self, job_id: int) -> Job:
        """See ``Store``."""
        ...

    def cancel(self, job_id: int) -> bool:
        """See ``Store``."""
        ...

    def resume(self, job_id: int, max_failure_rate: float | None) -> bool:
        """See ``Store``."""
        ...

    def reopen(self, job_id: int) -> bool:
        """See ``Store``."""
        ...

    def forget_failed(self, job_id: int, codes: Collection[Code], start: int, stop: int) -> int:
        """See ``Store``."""
        ...

    def publish_again(self, job_id: int) -> None:
        """See ``Store``."""
        ...

    def seal(self, job_id: int) -> None:
        """See ``Store``."""
        ...

    def delete(self, job_id: int) -> bool:
        """See ``Store``."""
        ...


def cancel(store: SteeringStore, job: Job) -> None:
    """Stop a job for good; ``cancel_rest`` ends what has no result.

    Raises ``UsageError(job_not_ready)``, as all of these do, if the job is in no state for it.
    """
    if not store.cancel(job.id) and store.job(job.id).state is not JobState.CANCELLING:
        raise _refused(job, "there is nothing to cancel")


def cancel_rest(store: CancelStore, job: Job) -> None:
    """Give every item of a job that has no result the state ``cancelled``, and end the job."""
    for start in range(0, job.submitted, _AT_ONCE):
        store.cancel_pending(job.id, start, start + _AT_ONCE)
    store.complete(job.id)


def resume(store: SteeringStore, job: Job, max_failure_rate: float | None) -> None:
    """Go on with a paused job, under a new failure budget or none."""
    if not store.resume(job.id, max_failure_rate):
        raise _refused(job, "only a paused one can be resumed")


def retry(store: SteeringStore, job: Job, codes: Collection[Code]) -> int:
    """Take back the failures with these codes, or with those whose cause may have passed; return how many."""
    wanted = codes or [code for code in Code if code.transient]
    if not store.reopen(job.id):
        raise _refused(job, "only what is recorded as a whole, and not cancelled, can be tried again")
    starts = range(0, job.submitted, _AT_ONCE)
    count = sum(store.forget_failed(job.id, wanted, start, start + _AT_ONCE) for start in starts)
    store.publish_again(job.id)
    store.seal(job.id)
    if not count:
        store.complete(job.id)
    return count


def delete(store: SteeringStore, job: Job) -> None:
    """Hide a job that is over, for good; ``remove_rest`` takes its rows away."""
    if not store.delete(job.id):
        raise _refused(job, "cancel it first")


def remove_rest(store: RemovalStore, job: Job) -> None:
    """Take away all that is stored of a deleted job."""
    for start in range(0, job.submitted, _AT_ONCE):
        store.remove_items(job.id, start, start + _AT_ONCE)
    store.remove_job(job.id)


def _refused(job: Job, what: str) -> UsageError:
    return UsageError(Code.JOB_NOT_READY, f"job {job.id} is {job.state}: {what}")
