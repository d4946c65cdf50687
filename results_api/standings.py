"""Look up how jobs stand, for any number of pollers: many questions at once are one to the store."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Protocol, TypeVar

from results_api.access.caller import Caller
from results_api.job_status import Standing
from results_api.ownership import key_seen_by, may_see, unknown
from shared.errors import UsageError
from shared.gathering import Gathered
from shared.store.store import Job, MalformedLine, RecordedModel, Tally, Webhook

T = TypeVar("T")

#: Malformed lines that are told with a job's status.
_MALFORMED_TOLD = 20


class StandingStore(Protocol):
    """What telling how a job stands needs of the store."""

    def job(self, job_id: int) -> Job:
        """See ``Store``."""
        ...

    def newest_jobs(self, before: int | None, limit: int, key_id: int | None = None) -> Sequence[Job]:
        """See ``Store``."""
        ...

    def model(self, model_id: int) -> RecordedModel:
        """See ``Store``."""
        ...

    def tallies(self, job_id: int) -> Sequence[Tally]:
        """See ``Store``."""
        ...

    def malformed_lines(self, job_id: int, limit: int) -> Sequence[MalformedLine]:
        """See ``Store``."""
        ...

    def webhook_of(self, job_id: int) -> Webhook | None:
        """See ``Store``."""
        ...


class _Threads:
    async def call(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.to_thread(function, *arguments)


class Standings:
    """Knows how jobs stand, as the store has it at the moment of the question or after it."""

    def __init__(self, store: StandingStore) -> None:
        self._store = store
        self._asked = Gathered(_Threads(), self._look_up)

    async def of(self, caller: Caller, job_id: int) -> Standing:
        """Return how a job stands that this caller may see; raise ``UsageError(job_unknown)``."""
        standing = await self._asked.find(job_id)
        if standing is None or not may_see(caller, standing.job):
            raise unknown(job_id)
        return standing

    def newest(self, caller: Caller, before: int | None, limit: int) -> list[Standing]:
        """Return how the newest jobs of this caller stand, of those older than the job ``before``."""
        return [self.read(job) for job in self._store.newest_jobs(before, limit, key_seen_by(caller))]

    def read(self, job: Job) -> Standing:
        """Return how a job stands whose row was just read."""
        return Standing(
            job,
            self._store.model(job.model_id),
            self._store.tallies(job.id),
            self._store.malformed_lines(job.id, _MALFORMED_TOLD) if job.malformed else (),
            self._store.webhook_of(job.id),
        )

    def _look_up(self, job_ids: Collection[int]) -> dict[int, Standing]:
        found: dict[int, Standing] = {}
        for job_id in job_ids:
            with suppress(UsageError):  # there is none: whoever asks for it is told so
                found[job_id] = self.read(self._store.job(job_id))
        return found
