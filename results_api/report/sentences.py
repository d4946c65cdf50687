"""The report in sentences: progress, causes of failures, time left, what to do next."""

from collections.abc import Iterator, Sequence

from results_api.report.words import because
from shared import time_left
from shared.errors import Code, printable
from shared.items import ItemState, JobState
from shared.job_outcome import outcome_of
from shared.store.store import Job
from shared.store.summaries import RECENT, Cause, Classes, Ending, HostLoad, Summary
from shared.time_left import TimeLeft
from shared.words import duration, number, pace, share

#: Causes with a sentence of their own; the tables have more.
_SENTENCES = 6
#: Codes that a host's rate limit explains.
_RATE_LIMITED = (Code.RATE_LIMITED, Code.HOST_DOWN)


def sentences(summary: Summary, left: TimeLeft | None) -> Iterator[str]:
    """Yield what matters most: progress, causes of failures, copies, time left, what to do next."""
    yield headline(summary)
    yield from _why(summary)
    yield from _copies(summary.classes)
    yield from remaining(summary, left)
    yield from _what_next(summary)


def headline(summary: Summary) -> str:
    """Return the job's progress, by state."""
    job, counts = summary.job, states(summary.endings)
    done = sum(counts.values())
    name = f" ({printable(job.name)})" if job.name else ""
    reason = f" ({printable(job.reason)})" if job.reason else ""
    more = "" if job.recorded else ", more to come"
    parts = ", ".join(f"{number(count)} {state} ({share(count, done)})" for state, count in counts.items())
    progress = f"{number(done)} of {number(job.submitted)} images are done{more}"
    stands = outcome_of(job.state, counts).phrase(job.state)
    return f"Job {job.id}{name} is {stands}{reason}. {progress}{f': {parts}' if parts else ''}."


def states(endings: Sequence[Ending]) -> dict[ItemState, int]:
    """Return how many items are in each state that occurs."""
    counts = {state: sum(end.count for end in endings if end.state is state) for state in ItemState}
    return {state: count for state, count in counts.items() if count}


def with_code(summary: Summary) -> list[Ending]:
    """Return the endings with a code, the most frequent first."""
    return sorted((end for end in summary.endings if end.code), key=lambda end: (-end.count, end.code or ""))


def _why(summary: Summary) -> Iterator[str]:
    endings = with_code(summary)
    for ending in endings[:_SENTENCES]:
        yield of_code(summary, ending)
    if rest := endings[_SENTENCES:]:
        count = number(sum(ending.count for ending in rest))
        yield f"{count} more have no label for {len(rest)} other reason{'s' if len(rest) > 1 else ''}."


def of_code(summary: Summary, ending: Ending) -> str:
    """Return why images ended with a code: by host if one has most of them, else by the code's sentence."""
    kind = (ending.state, ending.code)
    first = next((cause for cause in summary.causes if (cause.state, cause.code) == kind), None)
    if first and 2 * first.count >= ending.count:
        return of_host(summary, first)[:-1] + _at_other_hosts(ending, first)
    assert ending.code is not None
    most = f", most at {printable(first.host)} ({number(first.count)})" if first and first.host else ""
    where = f" at {number(ending.hosts)} hosts{most}" if ending.hosts else ""
    return f"{_ended(summary, ending)}{where}: {ending.code.sentence}"


def _ended(summary: Summary, what: Ending | Cause) -> str:
    verb = "failed" if what.state is ItemState.FAILED else f"were {what.state}"
    return f"{number(what.count)} of {number(summary.job.submitted)} {verb}"


def _at_other_hosts(ending: Ending, first: Cause) -> str:
    others = ending.hosts - (first.host is not None)
    if ending.count == first.count:
        return "."
    where = f" at {number(others)} other host{'s' if others > 1 else ''}" if others else ""
    return f"; {number(ending.count - first.count)} more{where}."


def of_host(summary: Summary, cause: Cause) -> str:
    """Return why images of one host ended with one code, with its rate limit where that explains it."""
    sentence = _ended(summary, cause) + because(cause.code, cause.host)
    load = next((load for load in summary.loads if load.host == cause.host), None)
    if load and cause.code in _RATE_LIMITED:
        sentence += f": {_pace(load, summary.job)}"
    return sentence.removesuffix(".") + "."


def _pace(load: HostLoad, job: Job) -> str:
    """Return a host's rate limit, and how long its remaining images take."""
    limit = "blocked" if load.blocked else f"limited to {pace(load.delay)}" if load.delay else "not limited"
    if not job.is_running or load.blocked:
        return limit
    rest = f", backed off for {duration(load.closed_for)}" if load.closed_for else ""
    return limit + rest + (f", about {duration(load.seconds)} left" if load.left > 0 else "")


def _copies(classes: Classes) -> Iterator[str]:
    if classes.contents < classes.count:
        copies = classes.count - classes.contents
        rest = f"{number(copies)} are copies" if copies > 1 else "1 is a copy"
        labelled, contents = number(classes.count), number(classes.contents)
        yield f"Of {labelled} labelled images, {contents} are different and {rest}."


def remaining(summary: Summary, left: TimeLeft | None) -> Iterator[str]:
    """Yield what is to be said of what is left: since when nothing was finished, how long it takes."""
    if left is None:
        return
    lasts = [ending.last_at for ending in summary.endings]
    if summary.job.is_running and left.moving and lasts and summary.at - max(lasts) > RECENT:
        yield f"Nothing was finished for {duration((summary.at - max(lasts)).total_seconds())}."
    yield from time_left.sentences(left, summary.at, summary.job.is_running)


def _what_next(summary: Summary) -> Iterator[str]:
    job = summary.job
    again = sum(end.count for end in summary.endings if end.code and end.code.transient)
    if job.state is JobState.PAUSED:
        yield f"Resume it with `smartsight resume {job.id}`."
    elif job.is_running and summary.waiting:
        yield time_left.how_to_give_up(job.id)
    elif job.state is JobState.COMPLETED and again:
        yield f"Retry {number(again)} transient failures with `smartsight retry {job.id}`."
