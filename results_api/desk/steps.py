"""What the owner of a job can do with it now; whether it still can be done is told when it is done."""

from enum import StrEnum

from results_api.api_keys import Caller, Scope
from shared.items import JobState
from shared.job_status import JobStatus


class Step(StrEnum):
    """What can be done with a job."""

    RETRY = "retry"
    RESUME = "resume"
    CANCEL = "cancel"
    DELETE = "delete"


def steps_open(job: JobStatus, caller: Caller) -> tuple[Step, ...]:
    """Return what this caller can do with a job of theirs in its state."""
    if Scope.SUBMIT not in caller.scopes:
        return ()
    open_ = {
        Step.RETRY: job.recorded and job.state in (JobState.RUNNING, JobState.PAUSED, JobState.COMPLETED),
        Step.RESUME: job.state is JobState.PAUSED,
        Step.CANCEL: job.is_running or job.state is JobState.PAUSED,
        Step.DELETE: job.state.is_over,
    }
    return tuple(step for step in Step if open_[step])


def worth_retrying(job: JobStatus) -> int:
    """Return how many images have no label for a cause that may have passed."""
    return sum(count.count for count in job.codes if count.is_transient)


def seconds_taken(job: JobStatus) -> float | None:
    """Return how long a job took from its submission to its end, if it is over."""
    if job.finished_at is None:
        return None
    return (job.finished_at - job.created_at).total_seconds()
