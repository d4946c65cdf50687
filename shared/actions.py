"""What people can do with jobs and hosts, by command or over the API."""

from collections.abc import Collection

from shared.errors import Code, UsageError
from shared.hosts import Host, HostState, describe_host
from shared.items import JobState
from shared.settings import Settings
from shared.store.store import Job, ListedHost, Store

#: Items cancelled, retried, given up or deleted in one transaction.
_AT_ONCE = 10_000
_CANCELLED = (JobState.CANCELLING, JobState.CANCELLED)


def cancel(store: Store, job: Job) -> None:
    """Begin to cancel a job; ``cancel_rest`` cancels its items. A job that is cancelled already stays so.

    Raises ``UsageError(job_not_ready)``, as all functions here do, if the job's state does not allow it.
    """
    if not store.jobs.cancel(job.id) and store.jobs.get(job.id).state not in _CANCELLED:
        raise _refused(job, "there is nothing to cancel")


def cancel_rest(store: Store, job: Job) -> None:
    """Cancel every item of a job that has no result, and end the job."""
    for start in range(0, job.submitted, _AT_ONCE):
        store.results.cancel_pending(job.id, start, start + _AT_ONCE)
    store.jobs.complete(job.id)


def resume(store: Store, job: Job, max_failure_rate: float | None) -> None:
    """Resume a paused job, with a new limit to its failures or none."""
    if not store.jobs.resume(job.id, max_failure_rate):
        raise _refused(job, "only a paused job can be resumed")


def retry(store: Store, job: Job, codes: Collection[Code]) -> int:
    """Retry the failures with these codes, or all with a transient code; return how many they are.

    If there are none, nothing changes: the job stays over, and its webhook is not sent again. A job of
    `smartsight label` is handed over to the workers, unless it names files.
    """
    wanted = codes or [code for code in Code if code.transient]
    if not job.is_retriable:
        raise _refused(job, "only a job that is recorded and not cancelled can be retried")
    # Of an interrupted retry, which is to be finished, the failures may be gone already.
    if job.recorded and not any(tally.code in wanted for tally in store.results.tallies(job.id)):
        return 0
    if job.local and store.jobs.names_files(job.id):
        raise _refused(job, "workers read no files: run `smartsight label` again")
    if not store.jobs.reopen(job.id):
        raise _refused(job, "`smartsight label` is running it" if job.local else "it has changed meanwhile")
    starts = range(0, job.submitted, _AT_ONCE)
    count = sum(store.results.forget_failed(job.id, wanted, start, start + _AT_ONCE) for start in starts)
    store.jobs.publish_again(job.id)
    store.jobs.mark_recorded(job.id)
    if not count:
        store.jobs.complete(job.id)
    return count


def give_up(store: Store, job: Job) -> int:
    """End the items that wait for another attempt, with their last failure; return how many they are."""
    if not (job.is_running or job.state is JobState.PAUSED):
        raise _refused(job, "nothing waits for another attempt")
    starts = range(0, job.submitted, _AT_ONCE)
    count = sum(store.retries.give_up(job.id, start, start + _AT_ONCE) for start in starts)
    store.duplicates.backfill(job.id)
    return count


def delete(store: Store, job: Job) -> None:
    """Begin to delete a job that is over: nobody sees it any more; ``remove_rest`` deletes its rows."""
    if not store.jobs.delete(job.id):
        raise _refused(job, "cancel it first")


def remove_rest(store: Store, job: Job) -> None:
    """Delete the rows of a deleted job."""
    for start in range(0, job.submitted, _AT_ONCE):
        store.jobs.remove_items(job.id, start, start + _AT_ONCE)
    store.jobs.remove(job.id)


def list_hosts(store: Store, settings: Settings, after: str, limit: int) -> list[Host]:
    """Return the hosts whose name comes after this one, as they are now."""
    now = store.hosts.now()
    return [_described(listed, now, settings) for listed in store.hosts.page(after, limit)]


def set_blocked(store: Store, settings: Settings, host: str, blocked: bool) -> Host:
    """Stop all requests to a host; or allow them again, and forget its failures; return it as it is then."""
    store.hosts.set_blocked(host, blocked)
    listed = store.hosts.find(host) or ListedHost(HostState(host, blocked=blocked), 0)
    return _described(listed, store.hosts.now(), settings)


def _described(listed: ListedHost, now: float, settings: Settings) -> Host:
    delay = 0.0 if listed.state.host in settings.own_host_names else settings.host_delay
    return describe_host(listed.state, listed.waiting, now, delay, len(settings.retry_delays))


def _refused(job: Job, what: str) -> UsageError:
    return UsageError(Code.JOB_NOT_READY, f"job {job.id} is {job.state}: {what}")
