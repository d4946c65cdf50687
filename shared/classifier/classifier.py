"""From the bytes of an image to its best classes: decode, predict, top-k."""

from dataclasses import dataclass

import numpy as np

from shared.classifier.engine import Engine, Floats
from shared.classifier.model import Label, Model
from shared.images import Decode, Limits, Picture, decode


@dataclass(frozen=True, slots=True)
class Prediction:
    """A class, by its index in the model's labels, and its score (0 to 1)."""

    class_id: int
    label: Label
    score: float


@dataclass(frozen=True, slots=True)
class Classification:
    """A classifier's output for one picture: predictions, best first, and the embedding if there is one."""

    picture: Picture
    predictions: list[Prediction]
    embedding: Floats | None


class Classifier:
    """A model and the engine that runs it; safe to call from several threads."""

    def __init__(self, model: Model, engine: Engine, limits: Limits, decode: Decode = decode) -> None:
        self.model = model
        self._engine = engine
        self._limits = limits
        self._decode = decode

    def classify(self, data: bytes, top: int) -> Classification:
        """Return the ``top`` best classes of an image file; raise ``ItemError`` if it cannot be decoded."""
        how = self.model.description.preprocessing
        picture = self._decode(data, how.side, how.crop, self._limits)
        outputs = self._engine.predict(picture.pixels[None])
        scores = outputs.scores[0]
        if self.model.description.logits:
            scores = softmax(scores)
        embedding = None if outputs.embeddings is None else outputs.embeddings[0]
        return Classification(picture, self._predictions(scores, top), embedding)

    def _predictions(self, scores: Floats, top: int) -> list[Prediction]:
        labels = self.model.labels
        return [Prediction(i, labels[i], float(scores[i])) for i in top_k(scores, top)]


def softmax(logits: Floats) -> Floats:
    """Turn logits (classes,) into scores that sum to one."""
    exponentials: Floats = np.exp(logits - logits.max())
    exponentials /= exponentials.sum()
    return exponentials


def top_k(scores: Floats, k: int) -> list[int]:
    """Return the indexes of the k highest scores, best first; equal scores keep the labels' order."""
    return [int(i) for i in np.argsort(-scores, kind="stable")[:k]]
