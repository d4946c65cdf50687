"""A job in words, wherever it was asked for: in the database or over the API."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from commands.progress import all_succeeded, counts_by_state, done, summary
from shared.items import ItemState, JobState
from shared.store.store import Job, Store, Tally

HEAD = f"{'job':>8} {'state':<10} {'done':>10} {'of':>10} {'failed':>8}  {'created':<16}  name"


@dataclass(frozen=True, slots=True)
class Described:
    """A job as it stood when it was asked for.

    ``published`` is known to the database alone; ``place`` is what commands add to reach the job elsewhere.
    """

    id: int
    name: str | None
    state: JobState
    reason: str
    model: str
    created_at: datetime
    finished_at: datetime | None
    submitted: int
    recorded: bool
    tallies: Sequence[Tally]
    published: int | None = None
    place: str = ""


def described(store: Store, job: Job) -> Described:
    """Return a job of the database with all that is shown of it."""
    model = store.models.get(job.model_id)
    return Described(
        job.id,
        job.name,
        job.state,
        job.reason,
        f"{model.name}@{model.version}",
        job.created_at,
        job.finished_at,
        job.submitted,
        job.recorded,
        store.results.tallies(job.id),
        job.published,
    )


def line(job: Described) -> str:
    """Return a job's line in a list."""
    failed = counts_by_state(job.tallies).get(ItemState.FAILED, 0)
    created = f"{job.created_at:%Y-%m-%d %H:%M}"
    numbers = f"{done(job.tallies):>10} {job.submitted:>10} {failed:>8}"
    return f"{job.id:>8} {job.state:<10} {numbers}  {created}  {job.name or ''}".rstrip()


def description(job: Described) -> Iterator[str]:
    """Yield the lines that describe a job."""
    facts = {
        "job": job.id,
        "name": job.name,
        "state": job.state,
        "reason": job.reason,
        "model": job.model,
        "created": f"{job.created_at:%Y-%m-%d %H:%M:%S}",
        "finished": f"{job.finished_at:%Y-%m-%d %H:%M:%S}" if job.finished_at else None,
        "submitted": f"{job.submitted}{'' if job.recorded else ', more to come'}",
        "published": job.published,
        "done": done(job.tallies),
    }
    yield from (f"{name:<10} {value}" for name, value in facts.items() if value not in (None, ""))
    yield from (f"  {count:>10} {state}" for state, count in counts_by_state(job.tallies).items())
    yield from _causes(job.tallies)
    yield from _what_next(job)


def ending(job: Described, done_before: int, seconds: float) -> Iterator[str]:
    """Yield what a job that was watched for so long came to."""
    yield f"Job {job.id} is {job.state}{f': {job.reason}' if job.reason else ''}."
    yield from summary(job.tallies, done(job.tallies) - done_before, seconds)


def has_labelled_all(job: Described) -> bool:
    """Tell whether a job is over and every image got its labels."""
    return job.state is JobState.COMPLETED and all_succeeded(job.tallies)


def _causes(tallies: Sequence[Tally]) -> Iterator[str]:
    """Yield a line for each cause of failure, the most frequent first."""
    for tally in sorted(tallies, key=lambda tally: -tally.count):
        if tally.code is not None:
            yield f"  {tally.count:>10} {tally.code}: {tally.code.sentence}"


def _what_next(job: Described) -> Iterator[str]:
    if job.state is JobState.PAUSED:
        command = f"smartsight resume {job.id}{job.place}"
        yield f"`{command}` goes on, without a limit to failures unless it is given one."
    elif job.state is JobState.COMPLETED and any(
        tally.code and tally.code.transient for tally in job.tallies
    ):
        yield f"`smartsight retry {job.id}{job.place}` tries those again whose cause may have passed."
