"""Convert table rows to the pipeline's types and back."""

import hashlib
from dataclasses import asdict
from typing import Any

from sqlalchemy import RowMapping

from shared.errors import Code
from shared.items import Evidence, Item, ItemState, Result

_EVIDENCE = tuple(Evidence.__dataclass_fields__)


def item_from(row: RowMapping) -> Item:
    """Return the item of a row."""
    return Item(row["job_id"], row["index"], row["ref"], row["custom_id"])


def item_values(item: Item, original: int | None) -> dict[str, object]:
    """Return the columns of an item; ``original`` is the index of an earlier item with the same reference."""
    return asdict(item) | {"ref_hash": ref_hash(item.ref), "original": original}


def ref_hash(ref: str) -> int:
    """Return 64 bits of a reference's digest, as a signed number."""
    return int.from_bytes(hashlib.blake2b(ref.encode(), digest_size=8).digest(), "big", signed=True)


def ref_digest(ref: str) -> bytes:
    """Return 128 bits of a reference's digest: enough to identify it among all references ever stored."""
    return hashlib.blake2b(ref.encode(), digest_size=16).digest()


def code_from(text: str | None) -> Code | None:
    """Return the code of a nullable column."""
    return None if text is None else Code(text)


def result_from(row: RowMapping) -> Result:
    """Return the result of a row."""
    evidence = {name: row[name] for name in _EVIDENCE}
    evidence["sha256"] = row["sha256"].hex() if row["sha256"] else None
    return Result(
        job_id=row["job_id"],
        index=row["index"],
        state=ItemState(row["state"]),
        finished_at=row["finished_at"],
        attempts=row["attempts"],
        model_id=row["model_id"],
        class_ids=tuple(row["class_ids"]),
        scores=tuple(row["scores"]),
        code=code_from(row["code"]),
        detail=row["detail"],
        evidence=Evidence(**evidence),
        reused=row["reused"],
    )


def result_values(result: Result) -> dict[str, Any]:
    """Return the columns of a result."""
    evidence = {name: getattr(result.evidence, name) for name in _EVIDENCE}
    sha256 = evidence.pop("sha256")
    return {
        "job_id": result.job_id,
        "index": result.index,
        "state": result.state,
        "code": result.code,
        "detail": result.detail,
        "model_id": result.model_id,
        "class_ids": result.class_ids,
        "scores": result.scores,
        "top_class": result.class_ids[0] if result.class_ids else None,
        "top_score": result.scores[0] if result.scores else None,
        "attempts": result.attempts,
        "finished_at": result.finished_at,
        "sha256": bytes.fromhex(sha256) if sha256 else None,
        "reused": result.reused,
        **evidence,
    }
