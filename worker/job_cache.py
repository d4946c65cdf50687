"""What is wanted of a message now: its job can have been stopped since it was published."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable

from shared.classifier.classifier import Classifier
from shared.errors import Code, ItemError, ResourceError, UsageError
from shared.items import JobState, Message
from shared.store.store import Job, RecordedModel, Store
from worker.store_retry import StoreRetry

_log = logging.getLogger("smartsight.worker")

#: How long a job that ran is taken to run still, in seconds: so soon a cancelled one stops.
_FRESH = 1.0
#: Models kept loaded at the same time.
_LOADED = 3
_OVER = (JobState.CANCELLING, JobState.CANCELLED, JobState.FAILED)


class JobCache:
    """Knows the jobs that messages belong to, and has the classifiers of their models at hand."""

    def __init__(
        self, store: Store, store_retry: StoreRetry, open_model: Callable[[RecordedModel], Classifier]
    ) -> None:
        self._store = store
        self._store_retry = store_retry
        self._open_model = open_model
        self._jobs: dict[int, tuple[Job, float]] = {}
        self._classifiers: OrderedDict[int, Classifier] = OrderedDict()
        self._asking = asyncio.Lock()
        self._opening = asyncio.Lock()

    async def model_of(self, message: Message) -> int | None:
        """Return which model is to label a message's item, or None if it is not to be labelled now."""
        job = await self._job(message.job_id)
        return job.model_id if job is not None and job.is_running else None

    async def classifier(self, model_id: int) -> Classifier:
        """Return the classifier of a model; raise ``ItemError(model_unavailable)`` if it is not to be had."""
        async with self._opening:
            if model_id not in self._classifiers:
                recorded = await self._store_retry.call(self._store.models.get, model_id)
                self._classifiers[model_id] = await self._open(recorded)
                if len(self._classifiers) > _LOADED:
                    self._classifiers.popitem(last=False)
            self._classifiers.move_to_end(model_id)
            return self._classifiers[model_id]

    async def _job(self, job_id: int) -> Job | None:
        arrived = time.monotonic()
        async with self._asking:
            known, seen = self._jobs.get(job_id, (None, 0.0))
            if known and _still_holds(known, seen, arrived):
                return known
            try:
                job = await self._store_retry.call(self._store.jobs.get, job_id)
            except UsageError:
                _log.warning("a message of job %s, which the store does not know, is dropped", job_id)
                return None
            self._jobs[job_id] = job, time.monotonic()
            return job

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


def _still_holds(job: Job, seen: float, arrived: float) -> bool:
    """Tell whether what was seen of a job need not be looked at again.

    A running one is believed for a moment, a cancelled one for ever. A paused or completed one only if it
    was seen after the message arrived: resuming publishes again, and what is dropped then is lost.
    """
    if job.state in _OVER:
        return True
    return seen >= arrived or (job.is_running and arrived - seen < _FRESH)
