"""The report as data, for its page and as JSON."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from results_api.report.sentences import of_code, of_host, remaining, sentences, states, with_code
from results_api.report.time_left import hosts_with_waits, time_left
from shared.errors import Code
from shared.items import ItemState, JobState
from shared.job_outcome import JobOutcome, outcome_of
from shared.store.store import RecordedModel
from shared.store.summaries import HostLoad, SlowHost, Summary, in_utc
from shared.time_left import TimeLeft
from shared.times import time_text

#: Rows of a list of hosts.
_HOSTS = 10


@dataclass(frozen=True, slots=True)
class JobFacts:
    """The job and its progress."""

    id: int
    name: str | None
    state: JobState
    outcome: JobOutcome
    reason: str
    model: str
    created_at: datetime
    finished_at: datetime | None
    reported_at: datetime
    submitted: int
    recorded: bool
    #: Deprecated: the former name of ``recorded``.
    sealed: bool
    done: int


@dataclass(frozen=True, slots=True)
class CodeBreakdown:
    """How many images ended with a code, at how many hosts."""

    state: ItemState
    code: Code
    meaning: str
    transient: bool
    count: int
    hosts: int
    sentence: str


@dataclass(frozen=True, slots=True)
class HostCause:
    """How many images of a host ended with a code, with the first of them as an example."""

    state: ItemState
    code: Code
    host: str | None
    count: int
    sentence: str
    example: str
    detail: str


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """How many images ended in each state, in one step of the time line."""

    at: datetime
    succeeded: int
    failed: int
    skipped: int


@dataclass(frozen=True, slots=True)
class ClassLine:
    """How many images have this best class, and how many of them are different."""

    name: str
    wordnet_id: str
    count: int
    contents: int


@dataclass(frozen=True, slots=True)
class Others:
    """What a list leaves out."""

    count: int
    contents: int = 0
    classes: int = 0


@dataclass(frozen=True, slots=True)
class DuplicateCounts:
    """How many images are labelled, how many of them are different, and how many labels were reused."""

    labelled: int
    contents: int
    reused: int


@dataclass(frozen=True, slots=True)
class Fetching:
    """The bytes of all images, and the mean time to fetch one, in milliseconds."""

    bytes: int
    fetched: int
    mean_fetch_ms: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """A job's results summed up; lists are limited, and what they leave out is counted beside them."""

    job: JobFacts
    sentences: tuple[str, ...]
    states: dict[ItemState, int]
    codes: tuple[CodeBreakdown, ...]
    causes: tuple[HostCause, ...]
    other_causes: Others
    step_seconds: int
    steps: tuple[TimelineStep, ...]
    classes: tuple[ClassLine, ...]
    other_classes: Others
    duplicates: DuplicateCounts
    fetching: Fetching
    slowest_hosts: tuple[SlowHost, ...]
    time_left: TimeLeft | None
    time_left_sentence: str | None
    hosts_left: tuple[HostLoad, ...]
    other_hosts_left: Others

    def as_json(self) -> str:
        """Return the report as a JSON object; times have the one form."""
        return json.dumps(asdict(self), default=time_text, ensure_ascii=False, indent=2) + "\n"


def make_report(summary: Summary, model: RecordedModel) -> Report:
    """Return the report of a job so far."""
    left = time_left(summary)
    hosts_left = hosts_with_waits(summary)[:_HOSTS] if left else ()
    classes = summary.classes
    return Report(
        job=_facts(summary, model),
        sentences=tuple(sentences(summary, left)),
        states=_all_states(summary),
        codes=_codes(summary),
        causes=_causes(summary),
        other_causes=Others(_counted(with_code(summary)) - _counted(summary.causes)),
        step_seconds=summary.bar_seconds,
        steps=_steps(summary),
        classes=_classes(summary, model),
        other_classes=Others(
            classes.count - _counted(classes.most),
            classes.contents - sum(found.contents for found in classes.most),
            classes.classes - len(classes.most),
        ),
        duplicates=DuplicateCounts(
            classes.count, classes.contents, sum(ending.reused for ending in summary.endings)
        ),
        fetching=_fetching(summary),
        slowest_hosts=summary.slowest[:_HOSTS],
        time_left=left,
        time_left_sentence=" ".join(remaining(summary, left)) or None,
        hosts_left=hosts_left,
        other_hosts_left=Others(max(0, left.items - sum(load.left for load in hosts_left)) if left else 0),
    )


def _counted(rows: Any) -> int:
    return sum(row.count for row in rows)


def _facts(summary: Summary, model: RecordedModel) -> JobFacts:
    job = summary.job
    return JobFacts(
        id=job.id,
        name=job.name,
        state=job.state,
        outcome=outcome_of(job.state, states(summary.endings)),
        reason=job.reason,
        model=f"{model.name}@{model.version}",
        created_at=in_utc(job.created_at),
        finished_at=in_utc(job.finished_at) if job.finished_at else None,
        reported_at=summary.at,
        submitted=job.submitted,
        recorded=job.recorded,
        sealed=job.recorded,
        done=_counted(summary.endings),
    )


def _all_states(summary: Summary) -> dict[ItemState, int]:
    """Return the number of items in each state that occurs; they add up to ``submitted``."""
    counts = states(summary.endings)
    pending = summary.job.submitted - sum(counts.values())
    return counts | ({ItemState.PENDING: pending} if pending > 0 else {})


def _codes(summary: Summary) -> tuple[CodeBreakdown, ...]:
    return tuple(
        CodeBreakdown(
            ending.state,
            ending.code,
            ending.code.sentence,
            ending.code.transient,
            ending.count,
            ending.hosts,
            of_code(summary, ending),
        )
        for ending in with_code(summary)
        if ending.code
    )


def _causes(summary: Summary) -> tuple[HostCause, ...]:
    return tuple(
        HostCause(
            cause.state,
            cause.code,
            cause.host,
            cause.count,
            of_host(summary, cause),
            cause.ref,
            cause.detail,
        )
        for cause in summary.causes
    )


def _steps(summary: Summary) -> tuple[TimelineStep, ...]:
    counts: dict[datetime, dict[str, int]] = {}
    for bar in summary.bars:
        counts.setdefault(bar.at, {"succeeded": 0, "failed": 0, "skipped": 0})[bar.state] = bar.count
    return tuple(TimelineStep(at, **by_state) for at, by_state in counts.items())


def _classes(summary: Summary, model: RecordedModel) -> tuple[ClassLine, ...]:
    return tuple(
        ClassLine(
            model.labels[found.class_id][1], model.labels[found.class_id][0], found.count, found.contents
        )
        for found in summary.classes.most
    )


def _fetching(summary: Summary) -> Fetching:
    fetched = sum(ending.fetched for ending in summary.endings)
    spent = sum(ending.fetch_ms for ending in summary.endings)
    size = sum(ending.bytes for ending in summary.endings)
    return Fetching(size, fetched, spent / fetched if fetched else None)
