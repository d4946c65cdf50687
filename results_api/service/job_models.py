"""Jobs as the documentation has them, and what may be asked for."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from results_api.service.envelope import Page, Success
from results_api.service.job_examples import JOB
from results_api.submissions import Options

#: URLs in one JSON body; longer lists come as files.
MAX_URLS = 100_000

#: No control characters: it is shown to people, and stored.
Plain = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Priority = Literal["low", "normal", "high"]
Rate = Annotated[float, Field(ge=0, le=1, description="Pause when more than this part of the images fails.")]


def _example(status: int, data: Any, **meta: Any) -> ConfigDict:
    body = {"meta": {"type": "success", "code": status, **meta}, "data": data}
    return ConfigDict(json_schema_extra={"examples": [body]})


class ListedUrl(BaseModel):
    """A URL with the caller's own id for it."""

    model_config = ConfigDict(extra="forbid")
    url: str
    id: str | None = Field(None, max_length=4096)


class WebhookWanted(BaseModel):
    """Whom to tell when the job is over, and what to sign that with; a secret is made if none is given."""

    model_config = ConfigDict(extra="forbid")
    url: str = Field(max_length=2048)
    secret: str | None = Field(None, max_length=200)


class JobWanted(BaseModel):
    """A job with its URLs."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"urls": ["https://example.com/a.jpg", {"url": "https://example.com/b.jpg", "id": "b"}]}
            ]
        },
    )
    urls: list[str | ListedUrl] = Field(min_length=1, max_length=MAX_URLS)
    name: Plain | None = None
    model: Plain | None = None
    max_failure_rate: Rate | None = None
    priority: Priority = "normal"
    webhook: WebhookWanted | None = None

    def options(self) -> Options:
        """Return what is said beside the URLs, without the webhook, which is to be judged first."""
        return Options(
            name=self.name,
            model=self.model,
            id_column="id",
            max_failure_rate=self.max_failure_rate,
            priority=self.priority,
        )


class ListWanted(BaseModel):
    """What is said of a job whose URLs come as a file."""

    model_config = ConfigDict(extra="forbid")
    name: Plain | None = Field(None, description="What people call the job.")
    model: Plain | None = Field(None, description="The model that labels; there is a default.")
    column: Plain = Field("url", description="Column of the list that holds the URL.")
    id_column: Plain | None = Field(None, description="Column that comes back as custom_id.")
    max_failure_rate: Rate | None = Field(
        None, description="Pause when more than this part of the images fails."
    )
    priority: Priority = Field("normal", description="Jobs with a higher one go first.")
    webhook_url: str | None = Field(None, max_length=2048, description="Whom to tell when it is over.")
    webhook_secret: str | None = Field(
        None, max_length=200, description="What to sign that with; one is made if none is given."
    )
    dry_run: bool = Field(False, description="Record nothing; try a sample, and tell what to expect.")
    sample: int = Field(200, ge=1, le=1000, description="Images of a dry run.")

    def options(self) -> Options:
        """Return the same without the webhook, which is to be judged first."""
        return Options(
            name=self.name,
            model=self.model,
            column=self.column,
            id_column=self.id_column,
            max_failure_rate=self.max_failure_rate,
            priority=self.priority,
        )

    def webhook(self) -> WebhookWanted | None:
        """Return whom to tell when the job is over."""
        if self.webhook_url is None:
            return None
        return WebhookWanted(url=self.webhook_url, secret=self.webhook_secret)


class CodeCounted(BaseModel):
    """How many images ended with a code."""

    code: str
    state: str
    count: int
    message: str


class MalformedTold(BaseModel):
    """A place of the list that holds no URL, and how many lines it takes."""

    line: int | None
    lines: int
    reason: str


class Malformed(BaseModel):
    """How many lines of the list hold no URL, and the first of them."""

    count: int
    lines: list[MalformedTold]


class WebhookTold(BaseModel):
    """Whom the job tells when it is over, and how far that is; the secret is shown once, when it is made."""

    url: str
    state: str
    attempts: int
    last_error: str
    secret: str | None = None


class JobTold(BaseModel):
    """How a job stands."""

    id: int
    name: str | None
    state: str
    reason: str = Field(description="Why it is paused, or why it failed.")
    model: str
    priority: str
    created_at: str
    finished_at: str | None
    submitted: int
    recorded: bool = Field(description="Whether its whole list is recorded.")
    published: int = Field(description="Images handed to the broker so far.")
    done: int
    counts: dict[str, int]
    codes: list[CodeCounted]
    rate: float | None = Field(description="Images a second, of late.")
    seconds_left: float | None = Field(description="At this rate; one slow host can take longer.")
    max_failure_rate: float | None
    malformed: Malformed
    webhook: WebhookTold | None
    links: dict[str, str]


class JobAnswer(Success[JobTold]):
    """A job."""

    model_config = _example(200, JOB)


class JobAccepted(Success[JobTold]):
    """A job that was taken in."""

    model_config = _example(202, JOB | {"state": "submitting", "recorded": False, "submitted": 0})


class JobPage(Page[JobTold]):
    """Jobs, the newest first."""

    model_config = _example(200, [JOB], next_cursor="MTI")


class JobRetried(JobTold):
    """A job some of whose failures are tried again."""

    retried: int


class RetryAnswer(Success[JobRetried]):
    """A job, and how many of its failures are tried again."""

    model_config = _example(200, JOB | {"retried": 10})


class Resuming(BaseModel):
    """How to go on: under which failure budget, if any."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"max_failure_rate": 0.5}]})
    max_failure_rate: Rate | None = None


class Retrying(BaseModel):
    """What to try again: failures with these codes, or all whose cause may have passed."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"codes": ["http_404"]}]})
    codes: list[str] = Field(default=[], max_length=100)
