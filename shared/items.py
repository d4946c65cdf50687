"""The pipeline's types: an item, its state, its result."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from shared.errors import Code


class ItemState(StrEnum):
    """State of an item; all but the first are final."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class JobState(StrEnum):
    """State of a job."""

    SUBMITTING = "submitting"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    #: The submission failed; its recorded items are cancelled.
    FAILED = "failed"
    #: Deleted by its owner: hidden, and its rows are removed gradually.
    DELETING = "deleting"

    @property
    def is_over(self) -> bool:
        """Whether every item has a result, at least until a retry."""
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
    """The message of one item; ``attempt`` counts from 1."""

    job_id: int
    index: int
    ref: str
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Evidence:
    """Facts about fetching and decoding, as far as they are known; times in milliseconds."""

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
    redirects: int | None = None


@dataclass(frozen=True, slots=True)
class Validators:
    """Validators of a response (RFC 9110, section 8.8), and the URL that it came from."""

    final_url: str
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True, slots=True)
class Result:
    """The final outcome of an item: its best classes, or the code of its failure.

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
    #: Whether the labels were copied from an item with the same bytes or the same reference.
    reused: bool = False
    #: The reference and its validators, if the host sent any.
    revalidation: tuple[str, Validators] | None = None
    #: What the model saw, as a small JPEG, if it was classified now; stored by content, not by item.
    thumbnail: bytes | None = field(default=None, repr=False)


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)
