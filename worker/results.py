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
    return replace(
        _result(message, model_id, ItemState.SUCCEEDED, seen),
        class_ids=tuple(prediction.class_id for prediction in found.predictions),
        scores=tuple(round(prediction.score, _DECIMALS) for prediction in found.predictions),
    )


def failed(message: Message, model_id: int, error: ItemError, evidence: Evidence) -> Result:
    """Return the result of an item that gets no label."""
    result = _result(message, model_id, ItemState.FAILED, evidence)
    return replace(result, code=error.code, detail=error.detail)


def _result(message: Message, model_id: int, state: ItemState, evidence: Evidence) -> Result:
    return Result(
        job_id=message.job_id,
        index=message.index,
        state=state,
        finished_at=now(),
        attempts=message.attempt,
        model_id=model_id,
        evidence=evidence,
    )
