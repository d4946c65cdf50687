"""Ask for what is known already with the words it was given with: whoever has not changed it says so."""

from collections.abc import Collection

from shared.batch_loader import BatchLoader
from shared.items import Evidence
from shared.store.store import Store, StoredResponse
from worker.store_retry import StoreRetry

#: Model and reference.
Key = tuple[int, str]


class ConditionalRequests:
    """Finds what URLs led to before, under the same model."""

    def __init__(self, store: Store, store_retry: StoreRetry) -> None:
        self._store = store
        self._stored = BatchLoader(store_retry, self._look_up)

    async def find(self, model_id: int, ref: str) -> StoredResponse | None:
        """Return what a reference led to, if it can be asked for again."""
        return await self._stored.find((model_id, ref)) if "://" in ref else None

    def _look_up(self, keys: Collection[Key]) -> dict[Key, StoredResponse]:
        found: dict[Key, StoredResponse] = {}
        for model_id in {model_id for model_id, _ in keys}:
            refs = [ref for model, ref in keys if model == model_id]
            for ref, known in self._store.stored_responses.find(model_id, refs).items():
                found[model_id, ref] = known
        return found


def unchanged_evidence(known: StoredResponse, host: str | None, fetch_ms: float) -> Evidence:
    """Return the evidence of an answer that said "not modified": the bytes are those of before."""
    before = known.result.evidence
    return Evidence(
        bytes=before.bytes,
        sha256=before.sha256,
        host=host,
        final_url=known.validators.final_url,
        http_status=304,
        fetch_ms=fetch_ms,
    )
