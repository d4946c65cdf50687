"""What `smartsight cancel`, `retry` and `resume` share: the job, and the word that it cannot be done."""

from shared.errors import Code, UsageError
from shared.store.store import Job


def refused(job: Job, what: str) -> UsageError:
    """Return why a job cannot be cancelled, retried or resumed."""
    return UsageError(Code.JOB_NOT_READY, f"job {job.id} is {job.state}: {what}")
