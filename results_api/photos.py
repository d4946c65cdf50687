"""Classify one image at once: from what is stored of the same bytes, or by the model."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import Executor
from dataclasses import dataclass

from results_api.capacity import Capacity
from shared.classifier.classifier import Classifier
from shared.classifier.model import Label
from shared.errors import ResourceError
from shared.items import Result
from shared.store.store import Store

_log = logging.getLogger("smartsight.api")

#: How long the store may take to say what it knows, in seconds: then the model is faster.
_PATIENCE = 0.5
_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Guess:
    """A class and its score."""

    label: Label
    score: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The best classes of an image, best first, and whether they were known from before."""

    guesses: list[Guess]
    reused: bool


class GoneError(Exception):
    """Whoever asked is not there any more."""


@dataclass(frozen=True)
class Photos:
    """Classifies images for people who wait, in ``threads``; ``capacity`` says how many are in hand."""

    store: Store
    classifier: Classifier
    model_id: int
    capacity: Capacity
    threads: Executor

    @property
    def model_name(self) -> str:
        """The model and its version."""
        return f"{self.classifier.model.name}@{self.classifier.model.version}"

    async def classify(self, content: bytes, top: int, is_gone: Callable[[], Awaitable[bool]]) -> Answer:
        """Return the ``top`` best classes of an image file.

        Raises ``ItemError`` if it is none that can be decoded, ``RequestError(at_capacity)``, and
        ``GoneError`` if nobody waits for the answer any more when its turn comes.
        """
        with self.capacity.place():
            known = await self._known(content, top)
            if known is not None:
                return Answer(self._named(known.class_ids[:top], known.scores[:top]), reused=True)
            async with self.capacity.turn():
                if await is_gone():
                    raise GoneError
                return await self._classify(content, top)

    async def _classify(self, content: bytes, top: int) -> Answer:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self.threads, self.classifier.classify, content, top)
        ids = [prediction.class_id for prediction in found.predictions]
        return Answer(self._named(ids, [one.score for one in found.predictions]), reused=False)

    async def _known(self, content: bytes, top: int) -> Result | None:
        """Return the result of the same bytes under the same model, if it has enough classes."""
        try:
            async with asyncio.timeout(_PATIENCE):
                found = await asyncio.to_thread(self._look_up, content)
        except (ResourceError, TimeoutError) as error:
            _log.warning("what is stored is not asked: %s", str(error) or "no answer in time")
            return None
        enough = min(top, len(self.classifier.model.labels))
        return found if found is not None and len(found.class_ids) >= enough else None

    def _look_up(self, content: bytes) -> Result | None:
        digest = hashlib.sha256(content).hexdigest()
        return self.store.results.labelled(self.model_id, [digest]).get(digest)

    def _named(self, ids: Collection[int], scores: Collection[float]) -> list[Guess]:
        labels = self.classifier.model.labels
        return [Guess(labels[i], round(score, _DECIMALS)) for i, score in zip(ids, scores, strict=True)]
