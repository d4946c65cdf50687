"""`smartsight jobs [ID]`: which jobs there are, or how one of them stands."""

from argparse import Namespace
from collections.abc import Iterator

from commands.parts import open_store
from commands.progress import counts_by_state, done
from commands.stdout import show
from shared.items import ItemState, JobState
from shared.settings import Settings
from shared.store.store import Job, Store, Tally

_LISTED = 20
_HEAD = f"{'job':>8} {'state':<10} {'done':>10} {'of':>10} {'failed':>8}  {'created':<16}  name"


def run(options: Namespace, settings: Settings) -> int:
    """Show the newest jobs, or one."""
    with open_store(settings) as store:
        if options.job is None:
            found = store.newest_jobs(options.before, _LISTED)
            show(_HEAD, *(_line(job, store.tallies(job.id)) for job in found))
        else:
            show(*_description(store, store.job(options.job)))
    return 0


def _line(job: Job, tallies: list[Tally]) -> str:
    failed = counts_by_state(tallies).get(ItemState.FAILED, 0)
    created = f"{job.created_at:%Y-%m-%d %H:%M}"
    numbers = f"{done(tallies):>10} {job.submitted:>10} {failed:>8}"
    return f"{job.id:>8} {job.state:<10} {numbers}  {created}  {job.name or ''}".rstrip()


def _description(store: Store, job: Job) -> Iterator[str]:
    tallies, model = store.tallies(job.id), store.model(job.model_id)
    facts = {
        "job": job.id,
        "name": job.name,
        "state": job.state,
        "reason": job.reason,
        "model": f"{model.name}@{model.version}",
        "created": f"{job.created_at:%Y-%m-%d %H:%M:%S}",
        "finished": f"{job.finished_at:%Y-%m-%d %H:%M:%S}" if job.finished_at else None,
        "submitted": f"{job.submitted}{'' if job.sealed else ', more to come'}",
        "published": job.published,
        "done": done(tallies),
    }
    yield from (f"{name:<10} {value}" for name, value in facts.items() if value not in (None, ""))
    yield from (f"  {count:>10} {state}" for state, count in counts_by_state(tallies).items())
    yield from causes(tallies)
    yield from _what_next(job, tallies)


def causes(tallies: list[Tally]) -> Iterator[str]:
    """Yield a line for each cause of failure, the most frequent first."""
    for tally in sorted(tallies, key=lambda tally: -tally.count):
        if tally.code is not None:
            yield f"  {tally.count:>10} {tally.code}: {tally.code.sentence}"


def _what_next(job: Job, tallies: list[Tally]) -> Iterator[str]:
    if job.state is JobState.PAUSED:
        yield f"`smartsight resume {job.id}` goes on, without a limit to failures unless it is given one."
    elif job.state is JobState.COMPLETED and any(tally.code and tally.code.transient for tally in tallies):
        yield f"`smartsight retry {job.id}` tries those again whose cause may have passed."
