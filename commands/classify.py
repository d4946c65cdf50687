"""`smartsight classify IMAGE...`: print the best classes of each image as JSON."""

import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from commands.messages import say
from commands.stdout import show
from shared.classifier.catalogue import open_classifier
from shared.classifier.classifier import Classifier, Prediction
from shared.errors import ItemError
from shared.fetching.fetcher import FileFetcher
from shared.settings import Settings


def run(options: Namespace, settings: Settings) -> int:
    """Return 0 if every image was classified, else 1."""
    classifier = open_classifier(settings, options.model or settings.model, options.engine, threads=1)
    files = FileFetcher(settings.max_bytes)
    alone = len(options.images) == 1
    failures = 0
    for image in options.images:
        try:
            predictions = _classify(classifier, files.read(Path(image)), options.top)
        except ItemError as error:
            failures += 1
            say(f"smartsight: {image}: {error.code}: {error}")
        else:
            show(predictions if alone else _object(image, predictions))
    return 1 if failures else 0


def _classify(classifier: Classifier, content: bytes, top: int) -> str:
    return as_json(classifier.classify(content, top).predictions)


def as_json(predictions: Sequence[Prediction]) -> str:
    """Return predictions in the shape of the first SmartSight's engine, scores with six decimals."""
    return f"[{', '.join(_entry(prediction) for prediction in predictions)}]"


def _entry(prediction: Prediction) -> str:
    name = json.dumps(prediction.label.name, ensure_ascii=False)
    return f'{{"class": {name}, "score": {prediction.score:.6f}}}'


def _object(image: str, predictions: str) -> str:
    return f'{{"image": {json.dumps(image)}, "predictions": {predictions}}}'
