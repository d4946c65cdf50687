"""The failure budget: when a job has failed so often that it has to pause.

Failures are the fastest results: a dead host refuses at once while pictures are still on their way, and many
lists begin with their dead hosts. So the results so far are no fair sample of a job, and the share of
failures among them decides nothing. A job is judged by more images than that: those that are done, those that
may be in progress, and at least a part of the whole, which grows with it. The failures so far are a share of
these that no later result can lower.
"""

from collections.abc import Sequence

from producer.estimate import wilson
from shared.items import ItemState
from shared.store.store import Job, Tally

#: Least number of results for judging a failure rate.
_ENOUGH = 50
#: Images that may be in progress in a fleet; their results come in any order.
_IN_PROGRESS = 50_000
#: The least part of a job by which it is judged.
_LEAST_PART = 0.1
#: Quantile of the normal distribution for a limit that holds 99.95 % of the time: it is asked every second.
_CERTAIN = 3.29


def over_budget(job: Job, tallies: Sequence[Tally]) -> str:
    """Return why a job has to pause (more failures than its budget), or nothing."""
    if job.max_failure_rate is None or not job.is_running:
        return ""
    failures = [tally for tally in tallies if tally.state is ItemState.FAILED]
    failed = sum(tally.count for tally in failures)
    tried = failed + sum(tally.count for tally in tallies if tally.state is ItemState.SUCCEEDED)
    skipped = sum(tally.count for tally in tallies) - tried
    left = job.submitted - skipped if job.recorded else None
    judged = images_to_judge(tried, left)
    if tried < _ENOUGH or least_failure_rate(failed, judged, left) <= job.max_failure_rate:
        return ""
    most = max(failures, key=lambda tally: tally.count)
    allowed = f"at most {job.max_failure_rate:.0%} of {'all' if judged == left else 'the first'} {judged} may"
    return f"{failed} of {tried} images failed, {allowed}; {most.count} of them with {most.code}"


def images_to_judge(tried: int, submitted: int | None) -> int:
    """Return by how many images a job is judged; ``submitted`` is None while its list is being recorded."""
    if submitted is None:
        return tried + _IN_PROGRESS
    return min(submitted, max(tried + _IN_PROGRESS, int(submitted * _LEAST_PART)))


def least_failure_rate(failed: int, judged: int, submitted: int | None) -> float:
    """Return the failure rate that a job has at least, with so many failures among the images judged.

    If those are all its images, it is certain. Else they are a sample of the job, for which the lower limit
    of Wilson's interval holds.
    """
    rate = failed / judged if judged else 0.0
    return rate if judged == submitted else wilson(rate, judged, _CERTAIN)[0]
