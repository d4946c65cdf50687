"""What the owner of a job can do with it now; whether it still can be done is told when it is done."""

from collections.abc import Sequence
from enum import StrEnum

from results_api.access.caller import Caller, Scope
from results_api.job_status import Standing
from shared.items import JobState
from shared.store.store import Job, Tally
from shared.store.summaries import in_utc


class Step(StrEnum):
    """What can be done with a job."""

    RETRY = "retry"
    RESUME = "resume"
    CANCEL = "cancel"
    DELETE = "delete"


def steps_open(job: Job, caller: Caller) -> tuple[Step, ...]:
    """Return what this caller can do with a job of theirs in its state."""
    if Scope.SUBMIT not in caller.scopes:
        return ()
    open_ = {
        Step.RETRY: job.sealed and job.state in (JobState.RUNNING, JobState.PAUSED, JobState.COMPLETED),
        Step.RESUME: job.state is JobState.PAUSED,
        Step.CANCEL: job.is_running or job.state is JobState.PAUSED,
        Step.DELETE: job.state.is_over,
    }
    return tuple(step for step in Step if open_[step])


def worth_retrying(tallies: Sequence[Tally]) -> int:
    """Return how many images have no label for a cause that may have passed."""
    return sum(tally.count for tally in tallies if tally.code and tally.code.transient)


def changes_by_itself(standing: Standing) -> bool:
    """Tell whether there will be something new to see of a job without anybody's doing."""
    return not standing.job.state.is_over and standing.job.state is not JobState.PAUSED


def seconds_taken(job: Job) -> float | None:
    """Return how long a job took from its being handed in to its end, if it is over."""
    if job.finished_at is None:
        return None
    return (in_utc(job.finished_at) - in_utc(job.created_at)).total_seconds()
