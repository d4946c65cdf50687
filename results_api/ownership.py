"""A job belongs to the key that it was submitted with: to others it does not exist."""

from results_api.access.caller import Caller
from shared.errors import Code, UsageError
from shared.store.store import Job, Store

#: No key has this number.
_NO_KEY = 0


def own_job(store: Store, caller: Caller, job_id: int) -> Job:
    """Return a job that this caller may see; for others raise ``UsageError(job_unknown)``."""
    job = store.jobs.get(job_id)
    if not may_see(caller, job):
        raise unknown(job_id)
    return job


def may_see(caller: Caller, job: Job) -> bool:
    """Tell whether a job is this caller's to see and to steer."""
    return caller.sees_all or (job.key_id is not None and job.key_id == caller.key_id)


def unknown(job_id: int) -> UsageError:
    """Return the failure of whoever asks for a job that is not there, for them."""
    return UsageError(Code.JOB_UNKNOWN, f"job {job_id}")


def key_seen_by(caller: Caller) -> int | None:
    """Return the key whose jobs are all that this caller may see, or None if they may see every job."""
    if caller.sees_all:
        return None
    return _NO_KEY if caller.key_id is None else caller.key_id
