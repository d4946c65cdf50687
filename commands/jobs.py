"""`smartsight jobs`, `watch`, `cancel`, `retry`, `give-up`, `resume` and `delete`: show and control jobs."""

import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from itertools import chain

from commands.backend import open_backend
from commands.progress import GiveUpOffer, causes, show_progress, summary
from commands.terminal import painted, say, show, show_json
from shared.items import ItemState, JobState, now
from shared.job_status import JobStatus
from shared.settings import Settings
from shared.time_left import how_to_give_up, sentences

#: Jobs of one list.
_LISTED = 20
_HEAD = f"{'job':>8} {'state':<13} {'done':>10} {'of':>10} {'failed':>8}  {'created':<16}  name"


def show_jobs(options: Namespace, settings: Settings) -> int:
    """Show one job, or the newest ones."""
    with open_backend(options, settings) as backend:
        if options.job is None:
            jobs = backend.jobs(options.before, _LISTED)
            if options.json:
                show_json([job.as_json() for job in jobs])
            else:
                show(_HEAD, *map(_line, jobs))
        elif options.json:
            show_json(backend.job(options.job).as_json())
        else:
            show(*describe(backend.job(options.job), backend.api_option))
    return 0


def watch(options: Namespace, settings: Settings) -> int:
    """Show the progress of a job until it is over or paused; return 0 if every image has its labels."""
    with open_backend(options, settings) as backend:
        statuses = backend.follow(options.job)
        first = next(statuses)
        done_before, started = first.done, time.monotonic()
        progress = show_progress(first.submitted, done_before)
        offer = GiveUpOffer(first.id, backend.api_option)
        try:
            for job in chain([first], statuses):
                progress.update(job.ended, job.submitted, job.time_left)
                offer.update(job.time_left, progress)
        finally:
            progress.close()
    stands = painted(job.outcome.phrase(job.state), job.outcome.tone, sys.stderr)
    say(f"Job {job.id} is {stands}{f': {job.reason}' if job.reason else ''}.")
    for line in summary(job, job.done - done_before, time.monotonic() - started):
        say(line)
    return 0 if job.has_labelled_all else 1


def cancel(options: Namespace, settings: Settings) -> int:
    """Cancel a job; images in progress on a worker may still get a result."""
    with open_backend(options, settings) as backend:
        job = backend.cancel(options.job)
    pending, cancelled = job.counts[ItemState.PENDING], job.counts[ItemState.CANCELLED]
    if pending:
        say(f"Job {job.id}: {pending} images are being cancelled, {job.done - cancelled} results kept.")
    else:
        say(f"Job {job.id}: {cancelled} images cancelled, {job.done - cancelled} results kept.")
    return 0


def retry(options: Namespace, settings: Settings) -> int:
    """Try failures again: those with the codes given, or all with a transient code."""
    with open_backend(options, settings) as backend:
        job = backend.retry(options.job, options.code)
    if job.retried:
        say(f"Job {job.id}: {job.retried} images will be retried.")
    else:
        say(f"Job {job.id}: there is nothing to retry; nothing was changed.")
    return 0


def give_up(options: Namespace, settings: Settings) -> int:
    """End the images that wait for another attempt, with their last error."""
    with open_backend(options, settings) as backend:
        job = backend.give_up(options.job)
    say(f"Job {job.id}: {job.given_up} waiting images were given up.")
    return 0


def resume(options: Namespace, settings: Settings) -> int:
    """Resume a paused job, with a new limit to its failures or none."""
    with open_backend(options, settings) as backend:
        job = backend.resume(options.job, options.max_failure_rate)
    say(f"Job {job.id} resumed.")
    return 0


def delete(options: Namespace, settings: Settings) -> int:
    """Delete a job that is over, with its list and its results."""
    with open_backend(options, settings) as backend:
        job = backend.job(options.job)
        backend.delete(job.id)
    say(f"Job {job.id} deleted: {job.submitted} images and {job.done} results.")
    return 0


def describe(job: JobStatus, api_option: str) -> Iterator[str]:
    """Yield the lines that describe a job; commands to run next get this option."""
    facts = {
        "job": job.id,
        "name": job.name,
        "state": painted(job.outcome.phrase(job.state), job.outcome.tone),
        "reason": job.reason,
        "model": job.model,
        "created": f"{job.created_at:%Y-%m-%d %H:%M:%S}",
        "finished": f"{job.finished_at:%Y-%m-%d %H:%M:%S}" if job.finished_at else None,
        "submitted": f"{job.submitted}{'' if job.recorded else ', more to come'}",
        "published": job.published,
        "done": job.done,
    }
    yield from (f"{name:<10} {value}" for name, value in facts.items() if value not in (None, ""))
    yield from (f"  {count:>10} {state}" for state, count in job.ended.items())
    yield from causes(job, 10)
    if left := job.time_left:
        yield from sentences(left, now(), job.is_running)
    yield from _what_next(job, api_option)


def _what_next(job: JobStatus, api_option: str) -> Iterator[str]:
    if job.state is JobState.PAUSED:
        command = f"smartsight resume {job.id}{api_option}"
        yield f"`{command}` resumes it, without a limit to failures unless it is given one."
    elif job.state is JobState.COMPLETED and any(count.is_transient for count in job.codes):
        yield f"`smartsight retry {job.id}{api_option}` retries the images with transient failures."
    elif job.waiting:
        yield how_to_give_up(job.id, api_option)


def _line(job: JobStatus) -> str:
    created = f"{job.created_at:%Y-%m-%d %H:%M}"
    numbers = f"{job.done:>10} {job.submitted:>10} {job.counts[ItemState.FAILED]:>8}"
    state = painted(f"{job.outcome.word:<13}", job.outcome.tone)
    return f"{job.id:>8} {state} {numbers}  {created}  {job.name or ''}".rstrip()
