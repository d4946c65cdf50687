"""Labels that are known already: of the same bytes, or of a URL whose host says that nothing has changed."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from cachetools import FIFOCache

from shared.batch_loader import BatchLoader
from shared.classifier.classifier import Classification
from shared.items import Result
from shared.store.store import Store, StoredResponse
from worker.store_retry import StoreRetry

#: Model and SHA-256 of an image's bytes, or model and reference.
Key = tuple[int, str]

#: How many images' labels are kept here, beside what the store knows: it learns of them a moment later. They
#: are checked against it when a result with them is stored.
_MAX_RECENT = 1000
#: Decimals of a stored score.
_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Labels:
    """What was found in an image: its best classes and their scores, best first, and what it is."""

    class_ids: tuple[int, ...]
    scores: tuple[float, ...]
    width: int | None
    height: int | None
    format: str | None

    @classmethod
    def of_classification(cls, found: Classification) -> "Labels":
        """Return the labels of a fresh classification."""
        picture = found.picture
        return cls(
            tuple(prediction.class_id for prediction in found.predictions),
            tuple(round(prediction.score, _DECIMALS) for prediction in found.predictions),
            picture.width,
            picture.height,
            picture.format,
        )

    @classmethod
    def of_result(cls, result: Result) -> "Labels":
        """Return the labels of a stored result."""
        seen = result.evidence
        return cls(result.class_ids, result.scores, seen.width, seen.height, seen.format)


class LabelCache:
    """Finds labels in memory and in the store; look-ups that come together are one query."""

    def __init__(self, store: Store, store_retry: StoreRetry) -> None:
        self._store = store
        self._by_content = BatchLoader(store_retry, self._load_by_content)
        self._by_url = BatchLoader(store_retry, self._load_by_url)
        self._recent: FIFOCache[Key, asyncio.Future[Labels | None]] = FIFOCache(_MAX_RECENT)

    async def by_url(self, model_id: int, url: str) -> StoredResponse | None:
        """Return what a URL led to before, if a conditional request can be made for it."""
        return await self._by_url.find((model_id, url)) if "://" in url else None

    async def by_content(
        self, key: Key, enough: int, classify: Callable[[], Awaitable[Labels]]
    ) -> tuple[Labels, bool]:
        """Return the labels of an image, at least ``enough`` of them, and whether they were known.

        Raises what ``classify`` raises.
        """
        recent = self._recent.get(key)
        if recent is not None:
            known = await asyncio.shield(recent)
            if known:
                return known, True
        future: asyncio.Future[Labels | None] = asyncio.get_running_loop().create_future()
        self._recent[key] = future
        labels: Labels | None = None
        try:
            known = await self._by_content.find(key)
            reused = known is not None and len(known.class_ids) >= enough
            labels = known if known is not None and reused else await classify()
            return labels, reused
        finally:
            # None tells the others that wait for these labels to classify for themselves.
            future.set_result(labels)
            if labels is None and self._recent.get(key) is future:
                del self._recent[key]

    def forget(self, key: Key) -> None:
        """Drop the labels of an image that are kept here: in the store they were deleted."""
        self._recent.pop(key, None)

    def _load_by_content(self, keys: Collection[Key]) -> dict[Key, Labels]:
        return {
            (model_id, digest): Labels.of_result(result)
            for model_id, digests in _by_model(keys).items()
            for digest, result in self._store.results.labelled(model_id, digests).items()
        }

    def _load_by_url(self, keys: Collection[Key]) -> dict[Key, StoredResponse]:
        return {
            (model_id, ref): known
            for model_id, refs in _by_model(keys).items()
            for ref, known in self._store.stored_responses.find(model_id, refs).items()
        }


def _by_model(keys: Collection[Key]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for model_id, text in keys:
        found.setdefault(model_id, []).append(text)
    return found
