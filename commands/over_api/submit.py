"""`smartsight submit SOURCE... --api`: hand a job in at the API."""

import uuid
from argparse import Namespace

from api_client import Client, Estimate, Job
from api_client.submissions import Options
from commands.estimates import words_of
from commands.over_api.asking import open_client, place
from commands.over_api.lists import HandedIn, list_of
from commands.progress import Counting
from commands.sources import reporting, what_was_looked_for
from commands.terminal import say, show
from producer import estimate as known
from producer.references import MalformedEntry
from shared.errors import Code, ResourceError
from shared.items import JobState
from shared.settings import Settings


def run(options: Namespace, settings: Settings) -> int:
    """Return 0 if everything was recorded, 1 if lines were left out."""
    with open_client(options, settings) as client, list_of(options) as handed_in:
        asked = _asked(options, handed_in)
        if options.dry_run:
            show(*words_of(_known(client.estimate(handed_in.path, sample=options.sample, **asked))))
            return 0
        key = options.idempotency_key or uuid.uuid4().hex
        job = client.submit(handed_in.path, idempotency_key=key, **asked)
        show(str(job.id))
        say(f"Job {job.id}: recording. Stopped, it goes on with --idempotency-key {key}")
        if job.webhook and job.webhook.secret:
            say(f"The webhook is signed with {job.webhook.secret}", always=True)
        return _report(_recorded(client, job.id), handed_in.left_out, options)


def _asked(options: Namespace, handed_in: HandedIn) -> Options:
    """Return what else the API is told."""
    asked: Options = {**handed_in.columns}
    if options.name:
        asked["name"] = options.name
    if options.model:
        asked["model"] = options.model
    if options.max_failure_rate is not None:
        asked["max_failure_rate"] = options.max_failure_rate
    if options.priority != "normal":
        asked["priority"] = options.priority
    if options.webhook:
        asked["webhook_url"] = options.webhook
    return asked


def _recorded(client: Client, job_id: int) -> Job:
    """Wait until the API has recorded the whole list, and return the job as it stands then."""
    with Counting("recorded") as counting:
        for job in client.follow(job_id):
            counting.update(job.submitted)
            if job.recorded:
                break
    return job


def _report(job: Job, left_out: int, options: Namespace) -> int:
    source = options.sources[0] if len(options.sources) == 1 else "the list"
    lines = (MalformedEntry(source, one.line, one.reason, one.lines) for one in job.malformed.lines)
    for _ in reporting(lines):
        pass
    malformed = left_out + job.malformed.count
    if malformed:
        say(f"Malformed lines left out: {malformed}.")
    if not job.submitted:
        raise ResourceError(Code.NOTHING_TO_LABEL, job.reason or what_was_looked_for(options.sources))
    if job.state is JobState.FAILED:
        raise ResourceError(Code.SOURCE_UNREADABLE, job.reason)
    say(f"Job {job.id}: {job.submitted} images recorded. See `smartsight watch {job.id}{place(options)}`.")
    return 1 if malformed else 0


def _known(found: Estimate) -> known.Estimate:
    """Return the same as the producer has it; a code that only a newer API knows is not named."""
    codes = frozenset(Code)
    return known.Estimate(
        references=found.references,
        duplicates=found.duplicates,
        sampled=found.sampled,
        success=found.success,
        low=found.low,
        high=found.high,
        causes=[(Code(code), part) for code, part in found.causes if code in codes],
        same_content=found.same_content,
        forbidding=[(host, Code(code)) for host, code in found.forbidding if code in codes],
        bytes=found.bytes,
        seconds=found.seconds,
        bound_by=found.bound_by,
    )
