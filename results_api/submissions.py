"""Take jobs in: the store has all of what was handed in, or nothing, before anybody is told."""

import asyncio
import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import IO, Any

from results_api.api_keys import Caller
from results_api.capacity import Capacity
from shared.errors import Code, UsageError
from shared.job_status import PRIORITIES
from shared.store.store import Job, NewJob, RecordedModel, Store

#: Bytes of a list that are stored together.
_PART = 1 << 20


@dataclass(frozen=True, slots=True)
class Options:
    """What was said of a job beside its list; ``webhook`` is a URL and a secret."""

    name: str | None = None
    model: str | None = None
    column: str = "url"
    id_column: str | None = None
    max_failure_rate: float | None = None
    priority: str = "normal"
    webhook: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A list, whose name ends as its format has it, and what was said of it."""

    name: str
    file: IO[bytes]
    options: Options


@dataclass(frozen=True)
class Submissions:
    """Takes jobs in.

    ``model_of`` gives the model of a name as recorded, ``wake`` tells whoever records lists, ``estimate``
    tries so many images of a list until ``abandon`` stops all that do, and ``judge_webhook`` gives a URL and
    a secret, or refuses them.
    """

    store: Store
    model_of: Callable[[str | None], RecordedModel]
    wake: Callable[[], None]
    estimate: Callable[[Listed, int], Mapping[str, Any]]
    abandon: Callable[[], None]
    judge_webhook: Callable[[str, str | None], tuple[str, str]]
    _sampling: Capacity = field(default_factory=lambda: Capacity(1, 0))

    async def try_sample(self, listed: Listed, images: int) -> Mapping[str, Any]:
        """Return what a list will come to, judged by so many of its images.

        One list at a time: this takes cores and calls hosts. Raises ``RequestError(at_capacity)``.
        """
        with self._sampling.admit():
            return await asyncio.to_thread(self.estimate, listed, images)

    def is_known(self, caller: Caller, key: str) -> bool:
        """Tell whether a caller's idempotency key names a job already."""
        return self.store.jobs.find(name_of_key(caller, key)) is not None

    def submit(self, caller: Caller, key: str | None, listed: Listed) -> tuple[Job, bool]:
        """Store a job with its list, and tell whether it is new; the same key finds the same job again.

        Raises ``UsageError``: ``key_taken`` if the key named another request, ``model_unknown``.
        """
        options = listed.options
        new = NewJob(
            key=name_of_key(caller, key or uuid.uuid4().hex),
            request_digest=_digest(listed),
            model_id=self.model_of(options.model).id,
            list_name=listed.name,
            ref_column=options.column,
            id_column=options.id_column,
            name=options.name,
            max_failure_rate=options.max_failure_rate,
            priority=PRIORITIES[options.priority],
            key_id=caller.key_id,
            webhook=options.webhook,
        )
        job, is_new = self.store.uploads.accept(new, _pieces(listed.file))
        if job.request_digest != new.request_digest:
            raise UsageError(Code.KEY_TAKEN, f"job {job.id}")
        self.wake()
        return job, is_new


def name_of_key(caller: Caller, key: str) -> str:
    """Return what the store calls a caller's idempotency key: everybody has keys of their own."""
    return f"api {caller.key_id or '-'} {key}"


def _digest(listed: Listed) -> str:
    """Return what tells one request from another; a webhook's secret may have been made for each."""
    said = asdict(replace(listed.options, webhook=None))
    digest = hashlib.sha256(json.dumps([listed.name, said]).encode())
    for piece in _pieces(listed.file):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    yield from iter(partial(file.read, _PART), b"")
