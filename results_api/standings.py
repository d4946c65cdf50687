"""Look up how jobs stand, for any number of pollers: many questions at once are one to the store."""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TypeVar

from results_api.access.caller import Caller
from results_api.job_status import Standing
from results_api.ownership import key_seen_by, may_see, unknown
from shared.batch_loader import BatchLoader
from shared.errors import UsageError
from shared.store.store import Job, Store

T = TypeVar("T")

#: Malformed lines that are told with a job's status.
_MALFORMED_TOLD = 20


class _Threads:
    async def call(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.to_thread(function, *arguments)


class Standings:
    """Knows how jobs stand, as the store has it at the moment of the question or after it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asked = BatchLoader(_Threads(), self._look_up)

    async def of(self, caller: Caller, job_id: int) -> Standing:
        """Return how a job stands that this caller may see; raise ``UsageError(job_unknown)``."""
        standing = await self._asked.find(job_id)
        if standing is None or not may_see(caller, standing.job):
            raise unknown(job_id)
        return standing

    def newest(self, caller: Caller, before: int | None, limit: int) -> list[Standing]:
        """Return how the newest jobs of this caller stand, of those older than the job ``before``."""
        return [self.read(job) for job in self._store.jobs.newest(before, limit, key_seen_by(caller))]

    def read(self, job: Job) -> Standing:
        """Return how a job stands whose row was just read."""
        return Standing(
            job,
            self._store.models.get(job.model_id),
            self._store.results.tallies(job.id),
            self._store.uploads.malformed_lines(job.id, _MALFORMED_TOLD) if job.malformed else (),
            self._store.webhooks.get(job.id),
        )

    def _look_up(self, job_ids: Collection[int]) -> dict[int, Standing]:
        found: dict[int, Standing] = {}
        for job_id in job_ids:
            with suppress(UsageError):  # there is none: whoever asks for it is told so
                found[job_id] = self.read(self._store.jobs.get(job_id))
        return found
