"""Request and response models of jobs."""

import json
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    FailFast,
    Field,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from results_api.service.headers import WEBHOOK_SECRET
from results_api.service.responses import ALTERNATIVES, PageResponse, SuccessResponse, Time, example
from results_api.service.result_models import Outcome
from results_api.submissions import SubmissionOptions
from shared.errors import Code

#: Example of a job's status.
JOB: dict[str, Any] = {
    "id": 12,
    "name": "spring crawl",
    "state": "running",
    "reason": "",
    "model": "lite0@1",
    "priority": "normal",
    "created_at": "2026-11-25T09:00:00Z",
    "finished_at": None,
    "submitted": 1000,
    "recorded": True,
    "published": 1000,
    "done": 250,
    "counts": {"pending": 750, "succeeded": 240, "failed": 10, "skipped": 0, "cancelled": 0},
    "codes": [
        {
            "code": "http_404",
            "state": "failed",
            "count": 10,
            "message": "The host has nothing at this URL (HTTP 404).",
        }
    ],
    "rate": 41.5,
    "seconds_left": 18.1,
    "waiting": {
        "count": 7,
        "is_all": True,
        "next_at": "2026-11-25T09:02:00Z",
        "ends_by": "2026-11-25T09:19:00Z",
        "groups": [
            {"host": "images.example.com", "code": "http_5xx", "count": 7, "next_at": "2026-11-25T09:02:00Z"}
        ],
    },
    "has_worker": True,
    "max_failure_rate": 0.2,
    "malformed": {"count": 1, "lines": [{"line": 3, "lines": 1, "reason": "no http or https URL"}]},
    "webhook": None,
    "links": {
        "self": "/v1/jobs/12",
        "results": "/v1/jobs/12/results",
        "summary": "/v1/jobs/12/summary",
        "events": "/v1/jobs/12/events",
    },
}

#: Example of a dry run's estimate; parts are of 1, and the low and high bounds hold with 95 % confidence.
ESTIMATE: dict[str, Any] = {
    "references": 3189,
    "duplicates": 0.001,
    "sampled": 60,
    "success": 0.968,
    "low": 0.802,
    "high": 0.995,
    "causes": [
        {
            "code": "http_404",
            "part": 0.032,
            "message": "The host has nothing at this URL (HTTP 404).",
        }
    ],
    "same_content": 0.0,
    "forbidding": [{"host": "robots.example.org", "code": "robots_disallowed"}],
    "bytes": 927000000,
    "seconds": 780.0,
    "bound_by": "images.example.com",
    "malformed": 0,
}

#: URLs in one JSON body; longer lists come as files.
MAX_URLS = 100_000

#: No control characters: it is shown to people, and stored.
Plain = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Priority = Literal["low", "normal", "high"]
_RATE = "Pause the job when a larger part of its images fails."
Rate = Annotated[float, Field(ge=0, le=1, description=_RATE)]


def _example(status: int, data: Any, **meta: Any) -> ConfigDict:
    body = {"meta": {"type": "success", "code": status, **meta}, "data": data}
    return ConfigDict(json_schema_extra={"examples": [example(body)]})


_Id = Annotated[str, Field(max_length=4096)]


def _as_text(value: Any) -> Any:
    """Return a number as JSON writes it, as in a list of JSON Lines."""
    return json.dumps(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class JobCreateUrl(BaseModel):
    """A URL with an id of the caller's own."""

    model_config = ConfigDict(extra="forbid")
    url: str
    id: Annotated[_Id | None, BeforeValidator(_as_text, json_schema_input_type=_Id | int | float | None)] = (
        None
    )


def _alternative(entry: Any) -> str | None:
    if isinstance(entry, str):
        return ALTERNATIVES[0]
    return ALTERNATIVES[1] if isinstance(entry, dict | JobCreateUrl) else None


# Each entry is judged as what it is: otherwise a mistake in an object is told as "not a string".
_Entry = Annotated[
    Annotated[str, Tag(ALTERNATIVES[0])] | Annotated[JobCreateUrl, Tag(ALTERNATIVES[1])],
    Discriminator(
        _alternative,
        custom_error_type="no_url",
        custom_error_message="Input should be a URL, or an object with a URL",
    ),
]


class WebhookCreate(BaseModel):
    """The URL to call when the job is over, and the secret that signs the call; made if none is given."""

    model_config = ConfigDict(extra="forbid")
    url: str = Field(max_length=2048)
    secret: str | None = Field(None, max_length=200)


class JobCreate(BaseModel):
    """A job with its URLs."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"urls": ["https://example.com/a.jpg", {"url": "https://example.com/b.jpg", "id": "b"}]}
            ]
        },
    )
    urls: Annotated[list[_Entry], FailFast()] = Field(min_length=1, max_length=MAX_URLS)
    name: Plain | None = None
    model: Plain | None = None
    max_failure_rate: Rate | None = None
    priority: Priority = "normal"
    webhook: WebhookCreate | None = None

    def options(self) -> SubmissionOptions:
        """Return the options without the webhook, which is checked first."""
        return SubmissionOptions(
            name=self.name,
            model=self.model,
            id_column="id",
            max_failure_rate=self.max_failure_rate,
            priority=self.priority,
        )


class JobCreateParams(BaseModel):
    """The options of a job whose URLs come as a file."""

    model_config = ConfigDict(extra="forbid")
    name: Plain | None = Field(None, description="A name for people.")
    model: Plain | None = Field(None, description="The model; the server has a default.")
    column: Plain = Field("url", description="Column of the list that holds the URL.")
    id_column: Plain | None = Field(None, description="Column of your own ids, returned as `custom_id`.")
    max_failure_rate: Rate | None = Field(None, description=_RATE)
    priority: Priority = Field("normal", description="Jobs with a higher priority are labelled first.")
    webhook_url: str | None = Field(None, max_length=2048, description="URL to call when the job is over.")
    dry_run: bool = Field(False, description="Store nothing; label a sample, and estimate the whole.")
    sample: int = Field(200, ge=1, le=1000, description="Images of a dry run.")

    def options(self) -> SubmissionOptions:
        """Return the options without the webhook, which is checked first."""
        return SubmissionOptions(
            name=self.name,
            model=self.model,
            column=self.column,
            id_column=self.id_column,
            max_failure_rate=self.max_failure_rate,
            priority=self.priority,
        )


class JobCreateQuery(JobCreateParams):
    """The same in a URL, where nothing may be that is secret: URLs are logged."""

    @model_validator(mode="before")
    @classmethod
    def _without_secret(cls, values: Any) -> Any:
        if isinstance(values, dict) and "webhook_secret" in values:
            raise PydanticCustomError(
                "secret_in_url",
                "webhook_secret may not be in a URL: send it as {header}",
                {"header": WEBHOOK_SECRET},
            )
        return values


class JobCreateForm(JobCreateParams):
    """The same in a form, or in the query and headers beside a list."""

    webhook_secret: str | None = Field(
        None, max_length=200, description="Secret that signs the call; made if none is given."
    )

    def webhook(self) -> WebhookCreate | None:
        """Return the webhook, if any."""
        if self.webhook_url is None:
            return None
        return WebhookCreate(url=self.webhook_url, secret=self.webhook_secret)


class CodeCountRead(BaseModel):
    """How many images ended with a code."""

    code: Code
    state: Outcome
    count: int
    message: str


class MalformedLineRead(BaseModel):
    """Lines of the list without a URL: the first, how many, and why."""

    line: int | None
    lines: int
    reason: str


class MalformedLinesRead(BaseModel):
    """How many lines of the list hold no URL, and the first of them."""

    count: int
    lines: list[MalformedLineRead]


class WebhookRead(BaseModel):
    """A job's webhook, and the state of its call; the secret is in the response to the submission only."""

    url: str
    state: Literal["pending", "delivered", "given_up"]
    attempts: int
    last_error: str
    secret: str | None = None


class RetryGroupRead(BaseModel):
    """Images of one host that failed with the same code, and when the first of them is tried again."""

    host: str | None
    code: Code | None
    count: int
    next_at: Time


class WaitingRead(BaseModel):
    """Images that wait for another attempt."""

    count: int
    is_all: bool = Field(description="Whether that is all of them; there are more if not.")
    next_at: Time = Field(description="When the first is tried again.")
    ends_by: Time | None = Field(
        description="When the last has its result at the latest; null where a host sets the pace."
    )
    groups: list[RetryGroupRead] = Field(description="By host and cause, the three largest.")


class JobRead(BaseModel):
    """The status of a job."""

    id: int
    name: str | None
    state: Literal["submitting", "running", "paused", "completed", "cancelling", "cancelled", "failed"]
    reason: str = Field(description="Why it is paused, or why it failed.")
    model: str
    priority: Priority
    created_at: Time
    finished_at: Time | None
    submitted: int
    recorded: bool = Field(description="Whether its whole list is recorded.")
    published: int = Field(description="Images handed to the broker so far.")
    done: int
    counts: dict[str, int]
    codes: list[CodeCountRead]
    rate: float | None = Field(description="Images a second, lately.")
    seconds_left: float | None = Field(
        description="At this rate, without what waits for another attempt; a slow host takes longer."
    )
    waiting: WaitingRead | None = Field(description="Images that wait for another attempt.")
    has_worker: bool = Field(description="Whether a worker was seen in the last minute, while it runs.")
    max_failure_rate: float | None
    malformed: MalformedLinesRead
    webhook: WebhookRead | None
    links: dict[str, str]


class JobResponse(SuccessResponse[JobRead]):
    """A job."""

    model_config = _example(200, JOB)


class JobAcceptedResponse(SuccessResponse[JobRead]):
    """A job that was accepted."""

    model_config = _example(202, JOB | {"state": "submitting", "recorded": False, "submitted": 0})


class JobListResponse(PageResponse[JobRead]):
    """Jobs, the newest first."""

    model_config = _example(200, [JOB], next_cursor="MTI")


class JobRetryRead(JobRead):
    """The status of a job, and how many of its failures are retried."""

    retried: int


class JobRetryResponse(SuccessResponse[JobRetryRead]):
    """A job, and how many of its failures are retried."""

    model_config = _example(200, JOB | {"retried": 10})


class JobGiveUpRead(JobRead):
    """The status of a job, and how many waiting images were given up."""

    given_up: int


class JobGiveUpResponse(SuccessResponse[JobGiveUpRead]):
    """A job, and how many waiting images were given up."""

    model_config = _example(200, JOB | {"given_up": 7, "waiting": None})


class JobResume(BaseModel):
    """The new failure budget, if any."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"max_failure_rate": 0.5}]})
    max_failure_rate: Rate | None = None


class JobRetry(BaseModel):
    """Which failures to retry: those with these codes, or all transient ones."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"codes": ["http_404"]}]})
    codes: Annotated[list[str], FailFast()] = Field(default=[], max_length=100)
