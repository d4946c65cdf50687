"""TensorFlow: the engine for GPUs, and for models that LiteRT cannot run."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from shared.classifier.engine import Floats, Outputs, quiet
from shared.classifier.model import KERAS_NETWORK, SAVED_MODEL_NETWORK, Model
from shared.errors import Code, ResourceError
from shared.images import Pixels

# TensorFlow logs to the user's terminal unless this is set before its import.
_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_ERRORS_ONLY = "2"


class TensorFlowEngine:
    """Runs a Keras file or a SavedModel as one compiled graph for any batch size."""

    def __init__(self, model: Model) -> None:
        with quiet():
            self._run = _load(model)
        self._classes = len(model.labels)
        self._preprocessing = model.description.preprocessing

    def predict(self, batch: Pixels) -> Outputs:
        """Run the network on a batch of pictures (n, side, side, 3), 0 to 255."""
        how = self._preprocessing
        pictures = (batch.astype(np.float32) - np.float32(how.mean)) / np.float32(how.scale)
        outputs = [np.asarray(output) for output in _values(self._run(pictures))]
        scores = next((output for output in outputs if output.shape[-1] == self._classes), None)
        if scores is None:
            width = outputs[0].shape[-1]
            detail = f"{self._classes} labels, but the network gives {width} scores"
            raise ResourceError(Code.LABELS_INVALID, detail)
        return Outputs(scores, next((o for o in outputs if o.shape[-1] != self._classes), None))


def import_tensorflow() -> Any:
    """Import TensorFlow quietly: this takes seconds, so nothing else may import it.

    Raises ``ResourceError(tensorflow_missing)``, as in our container image, which is smaller without it.
    """
    os.environ.setdefault(_LOG_LEVEL, _ERRORS_ONLY)
    try:
        import tensorflow
    except ImportError as error:
        raise ResourceError(Code.TENSORFLOW_MISSING, str(error)) from error
    return tensorflow


def _load(model: Model) -> Callable[[Floats], Any]:
    if model.has(KERAS_NETWORK):
        return _load_keras(model)
    if model.has(SAVED_MODEL_NETWORK):
        return _load_saved_model(model)
    raise ResourceError(Code.MODEL_UNSUPPORTED, f"{model.name} has no network for TensorFlow")


def _load_keras(model: Model) -> Callable[[Floats], Any]:
    tensorflow = import_tensorflow()
    network = tensorflow.keras.models.load_model(model.verified(KERAS_NETWORK), compile=False)

    def run(batch: Any) -> Any:
        return network(batch, training=False)

    graph: Callable[[Floats], Any] = tensorflow.function(run, reduce_retracing=True)
    return graph


def _load_saved_model(model: Model) -> Callable[[Floats], Any]:
    tensorflow = import_tensorflow()
    network = tensorflow.saved_model.load(str(model.verified(SAVED_MODEL_NETWORK)))
    (input_name,) = network.signatures["serving_default"].structured_input_signature[1]

    def run(batch: Floats) -> Any:
        # Looked up at each call: the signature alone does not keep the network's variables alive.
        return network.signatures["serving_default"](**{input_name: tensorflow.constant(batch)})

    return run


def _values(outputs: Any) -> list[Any]:
    if isinstance(outputs, dict):
        return list(outputs.values())
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]
