"""`smartsight classify IMAGE...`: print the best classes of each image as JSON."""

from argparse import Namespace
from pathlib import Path

from commands.predictions import as_json, show_each
from shared.classifier.catalogue import open_classifier
from shared.classifier.classifier import Classifier
from shared.fetching.fetcher import FileFetcher
from shared.settings import Settings


def run(options: Namespace, settings: Settings) -> int:
    """Return 0 if every image was classified, else 1."""
    classifier = open_classifier(settings, options.model or settings.model, options.engine, threads=1)
    files = FileFetcher(settings.max_bytes)
    return show_each(
        options.images, lambda image: _classify(classifier, files.read(Path(image)), options.top)
    )


def _classify(classifier: Classifier, content: bytes, top: int) -> str:
    predictions = classifier.classify(content, top).predictions
    return as_json((prediction.label.name, prediction.score) for prediction in predictions)
