"""Summaries of a job: what its items came to, by cause, host, class and time."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select

from shared.errors import Code
from shared.items import ItemState, now
from shared.store import aggregates
from shared.store.aggregates import whole
from shared.store.database import Database
from shared.store.jobs import Job, read_job
from shared.store.mapping import code_from
from shared.store.retries import read_waiting
from shared.store.schema import results
from shared.store.workers import worker_is_seen
from shared.time_left import Waiting

#: How far back the present rate is measured.
RECENT = timedelta(minutes=5)
#: Widths that a bar of the time line may have, in seconds.
_WIDTHS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400, 604800)
#: At most so many bars.
_BARS = 60
#: A host counts among the slowest only with one in so many of the images fetched: one late image is no host.
_WORTH_NAMING = 1000


@dataclass(frozen=True, slots=True)
class Ending:
    """What ended in this state with this code, of all hosts.

    ``fetched`` counts those whose fetching was timed, ``fetch_ms`` is what it took in all, ``recent``
    counts those of the last ``RECENT``.
    """

    state: ItemState
    code: Code | None
    count: int
    hosts: int
    reused: int
    bytes: int
    fetched: int
    fetch_ms: float
    recent: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Cause:
    """What ended with this code at this host, and the first of these: its reference, and what was said."""

    state: ItemState
    code: Code
    host: str | None
    count: int
    ref: str
    detail: str


@dataclass(frozen=True, slots=True)
class HostLoad:
    """What is left to do at a host; times in seconds.

    ``seconds`` is how long that takes at least: the rest of its backoff, and ``delay`` a request.
    """

    host: str
    items: int
    left: int
    delay: float
    closed_for: float
    code: Code | None
    blocked: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class SlowHost:
    """A host, and how long one of its images took on average, in milliseconds."""

    host: str
    fetched: int
    fetch_ms: float
    bytes: int


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How many images are of a class at best, and how many different ones."""

    class_id: int
    count: int
    contents: int


@dataclass(frozen=True, slots=True)
class Classes:
    """The commonest classes, and how many classes, images and different images there are in all."""

    most: tuple[ClassCount, ...] = ()
    classes: int = 0
    count: int = 0
    contents: int = 0


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """The commonest best classes, each with its count, and how many classes and images there are in all."""

    most: tuple[tuple[int, int], ...] = ()
    classes: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True)
class ProgressBin:
    """How many items ended in this state in one step of the time line."""

    at: datetime
    state: ItemState
    count: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What a job came to so far, all of it read from one moment's state.

    ``loads`` are of the hosts that take longest, these first, and of those that occur among the causes.
    ``has_worker`` tells whether a worker was seen lately.
    """

    at: datetime
    job: Job
    endings: tuple[Ending, ...]
    causes: tuple[Cause, ...]
    loads: tuple[HostLoad, ...]
    slowest: tuple[SlowHost, ...]
    classes: Classes
    bar_seconds: int
    bars: tuple[ProgressBin, ...]
    waiting: Waiting | None = None
    has_worker: bool = True

    @property
    def busiest(self) -> tuple[HostLoad, ...]:
        """The hosts of which something is left, the one that takes longest first."""
        return tuple(load for load in self.loads if load.left)


class Summaries:
    """The statements that sum up the results of a job."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, job_id: int, default_delay: float, top: int, own_hosts: Collection[str] = ()) -> Summary:
        """Sum up a job, with the first ``top`` of every list, or raise ``UsageError(job_unknown)``.

        ``default_delay`` is the seconds between two requests to a host of which nothing is known; the
        operator's own hosts have no limit.
        """
        with self._database.read_at_length() as connection:
            job, at = read_job(connection, job_id), now()
            endings = _endings(connection, job_id, at)
            causes = _causes(connection, job_id, top)
            named = [cause.host for cause in causes if cause.host]
            loads = aggregates.loads(connection, job_id, default_delay, top, named, own_hosts)
            width = bar_width(*span(endings))
            return Summary(
                at,
                job,
                endings,
                causes,
                _loads(connection, loads),
                _slowest(connection, job_id, top, endings),
                _classes(connection, job_id, top),
                width,
                _bars(connection, job_id, width),
                read_waiting(connection, job_id) if job.is_running else None,
                worker_is_seen(connection, job_id) or not job.is_running,
            )

    def class_counts(self, job_id: int, top: int) -> ClassCounts:
        """Count the images of a job by their best class, and return the ``top`` commonest.

        Every label is counted, but no row of a result is read for it: that takes a tenth of a summary.
        """
        count = func.count()
        query = select(results.c.top_class, count, count.over(), whole(func.sum(count).over())).where(
            results.c.job_id == job_id, results.c.top_class.is_not(None)
        )
        query = query.group_by(results.c.top_class).order_by(count.desc(), results.c.top_class).limit(top)
        with self._database.read_at_length() as connection:
            rows = connection.execute(query).all()
        return ClassCounts(tuple((row[0], row[1]) for row in rows), *rows[0][2:]) if rows else ClassCounts()


def span(endings: Collection[Ending]) -> tuple[datetime, datetime]:
    """Return when the first and the last item ended that was worked on."""
    worked = [ending for ending in endings if ending.state is not ItemState.CANCELLED]
    if not worked:
        return now(), now()
    return min(ending.first_at for ending in worked), max(ending.last_at for ending in worked)


def bar_width(first: datetime, last: datetime) -> int:
    """Return how many seconds a bar of the time line stands for."""
    needed = (last - first).total_seconds() / _BARS
    return next((width for width in _WIDTHS if width >= needed), int(needed) + 1)


def in_utc(time: datetime) -> datetime:
    """Return a time as read from a database: SQLite does not say that it is UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _endings(connection: Connection, job_id: int, at: datetime) -> tuple[Ending, ...]:
    rows = connection.execute(aggregates.endings(job_id, at - RECENT)).mappings()
    times = ("first_at", "last_at")
    return tuple(Ending(**_typed(row) | {name: in_utc(row[name]) for name in times}) for row in rows)


def _typed(row: RowMapping) -> dict[str, Any]:
    return {**row, "state": ItemState(row["state"])} | _code_of(row)


def _code_of(row: RowMapping) -> dict[str, Any]:
    return {"code": code_from(row["code"])}


def _causes(connection: Connection, job_id: int, top: int) -> tuple[Cause, ...]:
    rows = connection.execute(aggregates.causes(job_id, top)).mappings()
    return tuple(Cause(**_typed(row)) for row in rows)


def _loads(connection: Connection, query: Any) -> tuple[HostLoad, ...]:
    rows = connection.execute(query).mappings()
    names = HostLoad.__dataclass_fields__
    return tuple(HostLoad(**{name: row[name] for name in names} | _code_of(row)) for row in rows)


def _slowest(
    connection: Connection, job_id: int, top: int, endings: Collection[Ending]
) -> tuple[SlowHost, ...]:
    at_least = max(1, sum(ending.fetched for ending in endings) // _WORTH_NAMING)
    rows = connection.execute(aggregates.slowest(job_id, top, at_least)).mappings()
    return tuple(SlowHost(**row) for row in rows)


def _classes(connection: Connection, job_id: int, top: int) -> Classes:
    rows = connection.execute(aggregates.classes(job_id, top)).mappings().all()
    most = tuple(ClassCount(row["top_class"], row["count"], row["contents"]) for row in rows)
    return Classes(most, *(rows[0][f"all_{name}"] for name in ("classes", "count", "contents") if rows))


def _bars(connection: Connection, job_id: int, width: int) -> tuple[ProgressBin, ...]:
    rows = connection.execute(aggregates.bars(job_id, width)).mappings()
    return tuple(
        ProgressBin(datetime.fromtimestamp(row["step"] * width, UTC), ItemState(row["state"]), row["count"])
        for row in rows
    )
