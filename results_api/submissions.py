"""Accept jobs: the store has the whole submission, or nothing, before the client gets a response."""

import asyncio
import hashlib
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import IO

from results_api.api_keys import Caller
from results_api.capacity import Capacity
from shared.errors import Code, UsageError
from shared.estimate import Estimate
from shared.job_status import PRIORITIES
from shared.store.store import Job, NewJob, RecordedModel, Store

#: Bytes of a list that are stored in one row.
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class SubmissionOptions:
    """What a submission says of a job beside its list; ``webhook`` is a URL and a secret."""

    name: str | None = None
    model: str | None = None
    column: str = "url"
    id_column: str | None = None
    max_failure_rate: float | None = None
    priority: str = "normal"
    webhook: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class JobList:
    """A list, whose name ends as its format requires, and the options of its job."""

    name: str
    file: IO[bytes]
    options: SubmissionOptions


@dataclass(frozen=True)
class Submissions:
    """Accepts jobs.

    ``model_of`` returns the recorded model of a name; ``wake`` wakes the recorder of lists; ``estimate``
    tries so many images of a list, until ``abandon`` stops all of these; ``check_webhook`` returns a URL with
    its secret, or raises.
    """

    store: Store
    model_of: Callable[[str | None], RecordedModel]
    wake: Callable[[], None]
    estimate: Callable[[JobList, int], Estimate]
    abandon: Callable[[], None]
    check_webhook: Callable[[str, str | None], tuple[str, str]]
    _dry_runs: Capacity = field(default_factory=lambda: Capacity(1, 0))

    async def dry_run(self, job_list: JobList, images: int) -> Estimate:
        """Return an estimate of a list, from a sample of so many images.

        One at a time: it takes cores and calls hosts. Raises ``RequestError(at_capacity)``.
        """
        with self._dry_runs.admit():
            return await asyncio.to_thread(self.estimate, job_list, images)

    def is_known(self, caller: Caller, key: str) -> bool:
        """Tell whether a caller's idempotency key names a job already."""
        return self.store.jobs.find(job_key(caller, key)) is not None

    def submit(self, caller: Caller, key: str | None, job_list: JobList) -> tuple[Job, bool]:
        """Store a job with its list, and tell whether it is new: the same idempotency key finds the same job.

        Raises ``UsageError``: ``key_taken`` if the key named another request, ``model_unknown``.
        """
        options = job_list.options
        new = NewJob(
            key=job_key(caller, key or uuid.uuid4().hex),
            request_digest=_request_digest(job_list),
            model_id=self.model_of(options.model).id,
            list_name=job_list.name,
            ref_column=options.column,
            id_column=options.id_column,
            name=options.name,
            max_failure_rate=options.max_failure_rate,
            priority=PRIORITIES[options.priority],
            key_id=caller.key_id,
            webhook=options.webhook,
        )
        job, is_new = self.store.uploads.accept(new, _chunks(job_list.file))
        if job.request_digest != new.request_digest:
            raise UsageError(Code.KEY_TAKEN, f"job {job.id}")
        self.wake()
        return job, is_new


def job_key(caller: Caller, key: str) -> str:
    """Return the store's name of a caller's idempotency key: each API key has its own."""
    return f"api {caller.key_id or '-'} {key}"


def _request_digest(job_list: JobList) -> str:
    """Return a digest of a request, without the webhook: its secret may be a new one in each request."""
    options = asdict(replace(job_list.options, webhook=None))
    digest = hashlib.sha256(json.dumps([job_list.name, options]).encode())
    for chunk in _chunks(job_list.file):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    yield from iter(partial(file.read, _CHUNK), b"")
