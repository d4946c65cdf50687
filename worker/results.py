"""Make the result of an item out of what was found, or of why nothing was."""

from dataclasses import replace

from shared.classifier.classifier import Classification
from shared.errors import ItemError
from shared.items import Evidence, ItemState, Message, Result, now

#: Decimals of a stored score.
_DECIMALS = 6


def succeeded(message: Message, model_id: int, found: Classification, evidence: Evidence) -> Result:
    """Return the result of an item that got its labels."""
    picture = found.picture
    seen = replace(evidence, width=picture.width, height=picture.height, format=picture.format)
    return Result(
        job_id=message.job_id,
        index=message.index,
        state=ItemState.SUCCEEDED,
        finished_at=now(),
        attempts=message.attempt,
        model_id=model_id,
        class_ids=tuple(prediction.class_id for prediction in found.predictions),
        scores=tuple(round(prediction.score, _DECIMALS) for prediction in found.predictions),
        evidence=seen,
    )


def failed(message: Message, model_id: int, error: ItemError, evidence: Evidence) -> Result:
    """Return the result of an item that gets no label."""
    return Result(
        job_id=message.job_id,
        index=message.index,
        state=ItemState.FAILED,
        finished_at=now(),
        attempts=message.attempt,
        model_id=model_id,
        code=error.code,
        detail=error.detail,
        evidence=evidence,
    )
