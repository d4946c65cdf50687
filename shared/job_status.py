"""The status of a job: read from the store, sent by the API, parsed by its client, printed by commands."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from shared.errors import Code
from shared.items import ItemState, JobState
from shared.job_outcome import JobOutcome, outcome_of
from shared.time_left import TimeLeft, Waiting
from shared.times import time_text

#: Names of priorities; workers take jobs with a higher number first.
PRIORITIES = {"low": -1, "normal": 0, "high": 1}
_TRANSIENT = frozenset(code for code in Code if code.transient)


@dataclass(frozen=True, slots=True)
class CodeCount:
    """How many images of a job ended with a code; an API of a newer version may send unknown codes."""

    code: str
    state: ItemState
    count: int
    message: str

    @property
    def is_transient(self) -> bool:
        """Whether a retry may help."""
        return self.code in _TRANSIENT

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "CodeCount":
        """Parse the API's object."""
        state, count = ItemState(data["state"]), int(data["count"])
        return cls(str(data["code"]), state, count, str(data.get("message") or ""))


@dataclass(frozen=True, slots=True)
class MalformedLine:
    """Lines of a list that hold no reference: the number of the first, how many they are, and why."""

    line: int | None
    lines: int
    reason: str

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "MalformedLine":
        """Parse the API's object."""
        return cls(data.get("line"), int(data.get("lines") or 1), str(data["reason"]))


@dataclass(frozen=True, slots=True)
class MalformedLines:
    """How many lines of a list hold no reference, and the first of them."""

    count: int
    lines: tuple[MalformedLine, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "MalformedLines":
        """Parse the API's object."""
        lines = tuple(map(MalformedLine.from_json, data.get("lines") or ()))
        return cls(int(data.get("count") or 0), lines)


@dataclass(frozen=True, slots=True)
class WebhookStatus:
    """The URL that is called when a job is over, and the state of that call.

    The API sends ``secret``, which signs the call, only in its answer to the submission.
    """

    url: str
    state: str
    attempts: int
    last_error: str | None
    secret: str | None = field(default=None, repr=False)

    def as_json(self) -> dict[str, Any]:
        """Return the API's object, without the secret."""
        return {
            "url": self.url,
            "state": self.state,
            "attempts": self.attempts,
            "last_error": self.last_error,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "WebhookStatus":
        """Parse the API's object."""
        attempts, error = int(data.get("attempts") or 0), data.get("last_error")
        return cls(str(data["url"]), str(data.get("state") or ""), attempts, error, data.get("secret"))


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job and its progress at one moment; times are in UTC.

    ``submitted`` counts the images recorded so far, all of them when the list is ``recorded``; ``done``
    those that have a result; ``published`` those handed to the broker, None where the API does not tell.
    ``rate`` is in images a second, and ``seconds_left`` at this rate without those ``waiting`` for another
    attempt. ``has_worker`` tells whether a worker was seen lately. ``retried`` says how many failures the
    last ``retry`` took back, ``given_up`` how many images the last ``give_up`` ended.
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
    malformed: MalformedLines
    webhook: WebhookStatus | None
    retried: int = 0
    published: int | None = None
    waiting: Waiting | None = None
    has_worker: bool = True
    given_up: int = 0

    @property
    def is_running(self) -> bool:
        """Whether workers label its images."""
        return self.state in (JobState.SUBMITTING, JobState.RUNNING)

    @property
    def is_settled(self) -> bool:
        """Whether the job is over, or paused: it changes only on request."""
        return self.state.is_over or self.state is JobState.PAUSED

    @property
    def outcome(self) -> JobOutcome:
        """How it stands, for people."""
        return outcome_of(self.state, self.counts)

    @property
    def ended(self) -> dict[ItemState, int]:
        """How many images ended in each state that occurs."""
        return {
            state: count for state, count in self.counts.items() if count and state is not ItemState.PENDING
        }

    @property
    def time_left(self) -> TimeLeft | None:
        """What is left of it, without a look at its hosts; None if nothing is."""
        left = self.submitted - self.done
        if self.state.is_over or left <= 0:
            return None
        return TimeLeft(
            left,
            self.rate or 0.0,
            self.seconds_left,
            knows_hosts=False,
            waiting=self.waiting,
            has_worker=self.has_worker,
        )

    @property
    def has_labelled_all(self) -> bool:
        """Whether the job is completed and every image has its labels."""
        return self.state is JobState.COMPLETED and self.counts[ItemState.SUCCEEDED] == self.done

    def as_json(self) -> dict[str, Any]:
        """Return the API's object; times are in UTC, durations in seconds."""
        return {
            "id": self.id,
            "name": self.name,
            "state": str(self.state),
            "reason": self.reason,
            "model": self.model,
            "priority": self.priority,
            "created_at": time_text(self.created_at),
            "finished_at": None if self.finished_at is None else time_text(self.finished_at),
            "submitted": self.submitted,
            "recorded": self.recorded,
            "published": self.published,
            "done": self.done,
            "counts": {str(state): count for state, count in self.counts.items()},
            "codes": list(map(asdict, self.codes)),
            "rate": self.rate,
            "seconds_left": self.seconds_left,
            "waiting": None if self.waiting is None else self.waiting.as_json(),
            "has_worker": self.has_worker,
            "max_failure_rate": self.max_failure_rate,
            "malformed": asdict(self.malformed),
            "webhook": None if self.webhook is None else self.webhook.as_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "JobStatus":
        """Parse the API's object; fields that a newer API adds are ignored."""
        finished, webhook, waiting = data.get("finished_at"), data.get("webhook"), data.get("waiting")
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
            codes=tuple(map(CodeCount.from_json, data.get("codes") or ())),
            rate=data.get("rate"),
            seconds_left=data.get("seconds_left"),
            max_failure_rate=data.get("max_failure_rate"),
            malformed=MalformedLines.from_json(data.get("malformed") or {}),
            webhook=None if webhook is None else WebhookStatus.from_json(webhook),
            retried=int(data.get("retried") or 0),
            published=data.get("published"),
            waiting=None if waiting is None else Waiting.from_json(waiting),
            has_worker=bool(data.get("has_worker", True)),
            given_up=int(data.get("given_up") or 0),
        )
