"""`smartsight submit SOURCE...`: record a job, and publish it to the workers; or estimate it."""

import uuid
from argparse import Namespace
from collections.abc import Iterator

from commands.backend import JobBackend, Submission, open_backend
from commands.progress import Counting
from commands.sources import what_was_looked_for
from commands.terminal import say, show
from shared.errors import Code, ResourceError, UsageError
from shared.estimate import Estimate, sentence_of
from shared.items import JobState
from shared.job_status import JobStatus
from shared.settings import Settings

#: Forbidding hosts that are named.
_NAMED = 10
_UNITS = ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


def run(options: Namespace, settings: Settings) -> int:
    """Return 0 if everything was recorded, 1 if lines were left out."""
    if options.webhook and options.api is None:
        raise UsageError(Code.WEBHOOK_INVALID, "only the API calls webhooks; add --api")
    submission = Submission(
        sources=options.sources,
        key=options.idempotency_key or uuid.uuid4().hex,
        column=options.column,
        id_column=options.id_column,
        name=options.name,
        model=options.model,
        max_failure_rate=options.max_failure_rate,
        priority=options.priority,
        webhook=options.webhook,
    )
    with open_backend(options, settings) as backend:
        if options.dry_run:
            show(*estimate_lines(backend.estimate(submission, options.sample)))
            return 0
        return _submit(backend, submission)


def _submit(backend: JobBackend, submission: Submission) -> int:
    def begun(job: JobStatus) -> None:
        show(str(job.id))
        say(f"Job {job.id}: recording. If interrupted, resume with --idempotency-key {submission.key}")
        if job.webhook and job.webhook.secret:
            say(f"The webhook's signing secret is {job.webhook.secret}", always=True)  # not to be had again

    with Counting("recorded") as counting:
        job = backend.submit(submission, begun, counting.update)
    if job.malformed.count:
        say(f"Malformed lines left out: {job.malformed.count}.")
    if not job.submitted:
        raise ResourceError(Code.NOTHING_TO_LABEL, job.reason or what_was_looked_for(submission.sources))
    if job.state is JobState.FAILED:
        raise ResourceError(Code.SOURCE_UNREADABLE, job.reason)
    command = f"smartsight watch {job.id}{backend.api_option}"
    say(f"Job {job.id}: {job.submitted} images recorded{_unpublished(job, backend)}. See `{command}`.")
    return 1 if job.malformed.count else 0


def _unpublished(job: JobStatus, backend: JobBackend) -> str:
    """Return how many images this command has not published; an API publishes after its response."""
    count = job.submitted - (job.published or 0)
    if backend.api_option or not count:
        return ""
    return f"; {count} wait in the database until a worker publishes them"


def estimate_lines(estimate: Estimate) -> Iterator[str]:
    """Yield an estimate in words, one fact a line."""
    yield (
        f"expected to succeed  {estimate.success:.1%}, with 95 % confidence {estimate.low:.1%} to "
        f"{estimate.high:.1%} ({estimate.sampled} tried of {estimate.references})"
    )
    for code, part in estimate.causes:
        yield f"  {part:>7.1%} {code}: {sentence_of(code)}"
    yield f"repeated references  {estimate.duplicates:.1%} occur earlier in the list"
    yield f"repeated content     {estimate.same_content:.1%} of the images were seen under another URL"
    yield f"to be fetched        about {_size(estimate.bytes)}"
    yield f"takes                about {_duration(estimate.seconds)}, limited by {_limit(estimate)}"
    for host, code in estimate.forbidding[:_NAMED]:
        yield f"forbidden by         {host} ({code})"
    if len(estimate.forbidding) > _NAMED:
        yield f"                     and {len(estimate.forbidding) - _NAMED} more hosts"


def _limit(estimate: Estimate) -> str:
    return f"the request rate of {estimate.bound_by}" if estimate.bound_by else "this one machine's cores"


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _duration(seconds: float) -> str:
    length, unit = next(((length, unit) for length, unit in _UNITS if seconds >= 2 * length), _UNITS[-1])
    return f"{seconds / length:.0f} {unit}"
