"""The words of the pipeline as types: an item, its state, its result."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from shared.errors import Code


class ItemState(StrEnum):
    """Where an item stands; every state but the first is for good."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class JobState(StrEnum):
    """Where a job stands."""

    SUBMITTING = "submitting"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    #: The submission itself broke: what it had recorded is cancelled.
    FAILED = "failed"
    #: Removed by its owner: nobody sees it any more, and its rows go bit by bit.
    DELETING = "deleting"

    @property
    def is_over(self) -> bool:
        """Whether every item has its result, for good or until it is tried again."""
        return self in (JobState.COMPLETED, JobState.CANCELLED, JobState.FAILED)


@dataclass(frozen=True, slots=True)
class Item:
    """One image reference of a job, as recorded by the producer."""

    job_id: int
    index: int
    ref: str
    custom_id: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One item on its way to a worker; ``attempt`` counts from 1."""

    job_id: int
    index: int
    ref: str
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was fetched and decoded, as far as it came to that; times in milliseconds."""

    width: int | None = None
    height: int | None = None
    format: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    host: str | None = None
    final_url: str | None = None
    http_status: int | None = None
    fetch_ms: float | None = None
    label_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Validators:
    """What an answer may be asked for with again (RFC 9110, section 8.8), and where it came from."""

    final_url: str
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of an item, for good: its best classes, or the code of its failure.

    ``class_ids`` and ``scores`` belong together, best first.
    """

    job_id: int
    index: int
    state: ItemState
    finished_at: datetime
    attempts: int
    model_id: int
    class_ids: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()
    code: Code | None = None
    detail: str = ""
    evidence: Evidence = Evidence()
    #: Whether the labels are those of another item with the same bytes, or the same reference.
    reused: bool = False
    #: The reference, and what to ask for it with the next time, where the host gave anything.
    revalidation: tuple[str, Validators] | None = None
    #: What the model saw, as a small JPEG, where it was looked at anew; kept by content, not by item.
    thumbnail: bytes | None = field(default=None, repr=False)


def now() -> datetime:
    """Return the time in UTC, as results record it."""
    return datetime.now(UTC)
