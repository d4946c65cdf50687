"""What the API tells, as types. Data that a newer API adds are passed over."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from shared.items import ItemState, JobState

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Prediction:
    """One class that an image may show, and how sure the model is, from 0 to 1."""

    name: str
    wordnet_id: str
    score: float

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Prediction":
        """Return what the API's object says."""
        return cls(str(data["class"]), str(data.get("wordnet_id") or ""), float(data["score"]))


@dataclass(frozen=True, slots=True)
class CodeCount:
    """How many images of a job ended in this way, and why."""

    code: str
    state: ItemState
    count: int
    message: str


@dataclass(frozen=True, slots=True)
class MalformedLine:
    """A place in a list that holds no reference: its first line, how many lines are lost with it, and why."""

    line: int | None
    lines: int
    reason: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """How many lines of a list hold no reference, and the first of them."""

    count: int
    lines: tuple[MalformedLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Webhook:
    """Who is told when a job is over; the secret is told once, when the job is made."""

    url: str
    state: str
    attempts: int
    last_error: str | None
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Job:
    """One submission, as it stood when the API was asked.

    ``submitted`` counts the images recorded so far, all of them when it is ``recorded``; ``done`` those that
    are over. ``rate`` is in images a second; ``retried`` says how many ``Client.retry`` took back.
    """

    id: int
    name: str | None
    state: JobState
    reason: str
    model: str
    priority: str
    created_at: datetime
    finished_at: datetime | None
    submitted: int
    recorded: bool
    done: int
    counts: Mapping[ItemState, int]
    codes: tuple[CodeCount, ...]
    rate: float | None
    seconds_left: float | None
    max_failure_rate: float | None
    malformed: Malformed
    webhook: Webhook | None
    retried: int = 0

    @property
    def is_settled(self) -> bool:
        """Whether nothing changes any more unless somebody steers the job."""
        return self.state.is_over or self.state is JobState.PAUSED

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Job":
        """Return what the API's object says."""
        finished = data.get("finished_at")
        return cls(
            id=int(data["id"]),
            name=data.get("name"),
            state=JobState(data["state"]),
            reason=data.get("reason") or "",
            model=str(data["model"]),
            priority=str(data.get("priority") or "normal"),
            created_at=datetime.fromisoformat(data["created_at"]),
            finished_at=datetime.fromisoformat(finished) if finished else None,
            submitted=int(data["submitted"]),
            recorded=bool(data["recorded"]),
            done=int(data["done"]),
            counts={state: int(data["counts"].get(state, 0)) for state in ItemState},
            codes=tuple(_code(count) for count in data.get("codes") or ()),
            rate=data.get("rate"),
            seconds_left=data.get("seconds_left"),
            max_failure_rate=data.get("max_failure_rate"),
            malformed=_malformed(data.get("malformed") or {}),
            webhook=_webhook(data.get("webhook")),
            retried=int(data.get("retried") or 0),
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """What to expect of a list, judged by a sample of it; rates are parts of 1.

    ``low`` to ``high`` holds the success rate with 95 % confidence. ``causes`` are (code, part),
    ``forbidding`` (host, code). ``bound_by`` is the host that may not be called faster, if one takes longest.
    """

    references: int
    duplicates: float
    sampled: int
    success: float
    low: float
    high: float
    causes: tuple[tuple[str, float], ...]
    same_content: float
    forbidding: tuple[tuple[str, str], ...]
    bytes: float
    seconds: float
    bound_by: str | None
    #: Lines of the list that hold no URL.
    malformed: int

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Estimate":
        """Return what the API's object says."""
        values = {name: data[name] for name in cls.__dataclass_fields__}
        values["causes"] = tuple((str(cause["code"]), float(cause["part"])) for cause in data["causes"])
        values["forbidding"] = tuple((str(one["host"]), str(one["code"])) for one in data["forbidding"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list, and what to ask for the next part with; nothing on the last one."""

    entries: tuple[T, ...]
    next_cursor: str | None


def _code(data: Mapping[str, Any]) -> CodeCount:
    state, count = ItemState(data["state"]), int(data["count"])
    return CodeCount(str(data["code"]), state, count, str(data.get("message") or ""))


def _malformed(data: Mapping[str, Any]) -> Malformed:
    lines = (
        MalformedLine(line.get("line"), int(line.get("lines") or 1), str(line["reason"]))
        for line in data.get("lines") or ()
    )
    return Malformed(int(data.get("count") or 0), tuple(lines))


def _webhook(data: Mapping[str, Any] | None) -> Webhook | None:
    if data is None:
        return None
    attempts, error = int(data.get("attempts") or 0), data.get("last_error")
    return Webhook(str(data["url"]), str(data.get("state") or ""), attempts, error, data.get("secret"))
