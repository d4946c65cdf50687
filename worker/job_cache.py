"""What a task's job wants now, and the classifiers of the models that jobs name."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from cachetools import LRUCache

from shared.classifier.classifier import Classifier
from shared.errors import Code, ItemError, ResourceError, UsageError
from shared.items import JobState
from shared.store.store import Job, RecordedModel, Store
from worker.store_retry import StoreRetry

_log = logging.getLogger("smartsight.worker")

#: How long a running job is taken to run still, in seconds: within that a cancelled one stops.
_FRESH = 1.0
#: Jobs remembered, and models kept loaded, at the same time.
_MAX_JOBS, _MAX_MODELS = 1000, 3
_OVER = (JobState.CANCELLING, JobState.CANCELLED, JobState.FAILED)


class JobCache:
    """Knows the jobs of tasks: a job can have been stopped since its messages were published."""

    def __init__(self, store: Store, store_retry: StoreRetry, only_job: int | None = None) -> None:
        """``only_job`` is the job that this process runs for itself, if it does."""
        self._store = store
        self._store_retry = store_retry
        self._only_job = only_job
        self._jobs: LRUCache[int, tuple[Job, float]] = LRUCache(_MAX_JOBS)
        self._asking = asyncio.Lock()

    async def running_model(self, job_id: int) -> int | None:
        """Return the model of a job, or None if its items are not to be labelled here now."""
        job = await self._job(job_id)
        return job.model_id if job is not None and self._is_ours(job) else None

    def _is_ours(self, job: Job) -> bool:
        return job.is_running and (not job.local or job.id == self._only_job)

    async def _job(self, job_id: int) -> Job | None:
        arrived = time.monotonic()
        async with self._asking:
            job, seen = self._jobs.get(job_id, (None, 0.0))
            if job and self._still_holds(job, seen, arrived):
                return job
            try:
                job = await self._store_retry.call(self._store.jobs.get, job_id)
            except UsageError:
                _log.warning("unknown job", extra={"job": job_id})
                return None
            self._jobs[job_id] = job, time.monotonic()
            return job

    def _still_holds(self, job: Job, seen: float, arrived: float) -> bool:
        """Tell whether what was seen of a job need not be looked at again.

        One that is labelled here is believed for a moment, a cancelled one for ever. Any other (a paused or
        completed one) only if it was seen after the message arrived: resuming publishes again, and what is
        dropped then is lost.
        """
        if job.state in _OVER:
            return True
        return seen >= arrived or (self._is_ours(job) and arrived - seen < _FRESH)


class LoadedModel(NamedTuple):
    """A model of the store, and its classifier."""

    id: int
    classifier: Classifier


class ModelCache:
    """Keeps the classifiers of the models that were used last."""

    def __init__(
        self, store: Store, store_retry: StoreRetry, open_model: Callable[[RecordedModel], Classifier]
    ) -> None:
        self._store = store
        self._store_retry = store_retry
        self._open_model = open_model
        self._models: LRUCache[int, LoadedModel] = LRUCache(_MAX_MODELS)
        self._opening = asyncio.Lock()

    async def load(self, model_id: int) -> LoadedModel:
        """Return a model, opened if need be; raise ``ItemError(model_unavailable)`` if it cannot be."""
        async with self._opening:
            model = self._models.get(model_id)
            if model is None:
                recorded = await self._store_retry.call(self._store.models.get, model_id)
                model = self._models[model_id] = LoadedModel(model_id, await self._open(recorded))
            return model

    async def _open(self, recorded: RecordedModel) -> Classifier:
        name = f"{recorded.name}@{recorded.version}"
        try:
            classifier = await self._store_retry.call(self._open_model, recorded)
        except (ResourceError, UsageError) as error:
            raise ItemError(Code.MODEL_UNAVAILABLE, f"{name}: {error}") from error
        if classifier.model.version != recorded.version:
            detail = f"{name}: this worker has version {classifier.model.version}"
            raise ItemError(Code.MODEL_UNAVAILABLE, detail)
        return classifier
