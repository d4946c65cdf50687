"""Predictions on standard output, in the shape of the first SmartSight's engine."""

import json
from collections.abc import Callable, Iterable, Sequence

from commands.terminal import say, show
from shared.errors import ItemError


def show_each(images: Sequence[str], classify: Callable[[str], str]) -> int:
    """Print what ``classify`` returns for each image, or why it has no classes; return the exit status."""
    failures = 0
    for image in images:
        try:
            predictions = classify(image)
        except ItemError as error:
            failures += 1
            say(f"smartsight: {image}: {error.code}: {error}")
        else:
            show(predictions if len(images) == 1 else _of_image(image, predictions))
    return 1 if failures else 0


def as_json(predictions: Iterable[tuple[str, float]]) -> str:
    """Return classes and their scores, these with six decimals."""
    return f"[{', '.join(_entry(name, score) for name, score in predictions)}]"


def _of_image(image: str, predictions: str) -> str:
    """Return the predictions of one image among several."""
    return f'{{"image": {json.dumps(image)}, "predictions": {predictions}}}'


def _entry(name: str, score: float) -> str:
    return f'{{"class": {json.dumps(name, ensure_ascii=False)}, "score": {score:.6f}}}'
