"""Make the result of an item out of what was found, or of why nothing was."""

from dataclasses import dataclass, replace

from shared.classifier.classifier import Classification
from shared.errors import SKIPPED, ItemError
from shared.items import Evidence, ItemState, Message, Result, now

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
    def of(cls, found: Classification) -> "Labels":
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


def succeeded(
    message: Message, model_id: int, labels: Labels, top: int, evidence: Evidence, reused: bool
) -> Result:
    """Return the result of an item that got its labels, the ``top`` best of them."""
    seen = replace(evidence, width=labels.width, height=labels.height, format=labels.format)
    return replace(
        _result(message, model_id, ItemState.SUCCEEDED, seen),
        class_ids=labels.class_ids[:top],
        scores=labels.scores[:top],
        reused=reused,
    )


def failed(message: Message, model_id: int, error: ItemError, evidence: Evidence) -> Result:
    """Return the result of an item that gets no label: it was left out on purpose, or it failed."""
    state = ItemState.SKIPPED if error.code in SKIPPED else ItemState.FAILED
    result = _result(message, model_id, state, evidence)
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
