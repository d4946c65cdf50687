"""Label the same bytes once: what is known of them is taken from the store, or from whoever is at it."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection

from shared.batch_loader import BatchLoader
from shared.store.store import Store
from worker.results import Labels
from worker.store_retry import StoreRetry

#: Model and SHA-256 of an image's bytes.
Key = tuple[int, str]

#: How many images' labels are remembered, beside what the store knows: it learns of them a moment later.
_REMEMBERED = 1000


class LabelCache:
    """Finds labels by an image's bytes; look-ups that come together are one query."""

    def __init__(self, store: Store, store_retry: StoreRetry) -> None:
        self._store = store
        self._stored = BatchLoader(store_retry, self._look_up)
        self._recent: OrderedDict[Key, asyncio.Future[Labels | None]] = OrderedDict()

    async def labels(
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
        self._remember(key, future)
        labels: Labels | None = None
        try:
            known = await self._stored.find(key)
            reused = known is not None and len(known.class_ids) >= enough
            labels = known if known is not None and reused else await classify()
            return labels, reused
        finally:
            # None tells whoever waits to see for themselves.
            future.set_result(labels)
            if labels is None and self._recent.get(key) is future:
                del self._recent[key]

    def _remember(self, key: Key, future: "asyncio.Future[Labels | None]") -> None:
        self._recent[key] = future
        if len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)

    def _look_up(self, keys: Collection[Key]) -> dict[Key, Labels]:
        found: dict[Key, Labels] = {}
        for model_id in {model_id for model_id, _ in keys}:
            digests = [digest for model, digest in keys if model == model_id]
            for digest, result in self._store.results.labelled(model_id, digests).items():
                found[model_id, digest] = Labels.of_result(result)
        return found
