"""Create model folders from the published EfficientNet-Lite weights or from a user's network.

Needs TensorFlow, which takes seconds to load and half a gigabyte: the catalogue calls these functions in a
separate process.
"""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from shared.classifier.efficientnet_lite import Variant, build_network, weights_file
from shared.classifier.litert_engine import LiteRtEngine
from shared.classifier.model import (
    KERAS_NETWORK,
    LABELS,
    LITERT_NETWORK,
    SAVED_MODEL_NETWORK,
    Preprocessing,
    checksum,
    read_labels,
    write_description,
)
from shared.classifier.tensorflow_engine import import_tensorflow
from shared.classifier.torch_weights import read_checkpoint
from shared.errors import Code, ResourceError

#: Increase it when a change here or in the network changes predictions for the same weights.
_RECIPE = 1
_IMAGENET_LABELS = Path(__file__).with_name("imagenet_labels.tsv")
#: From ``lite/efficientnet_lite_builder.py`` of the published release.
_MEAN, _SCALE, _MARGIN = 127.0, 128.0, 32


def build_variant(variant: Variant, folder: Path) -> None:
    """Fill a folder with one of the three EfficientNet-Lite models."""
    tensorflow = import_tensorflow()
    weights = weights_file(variant)
    network = build_network(variant, read_checkpoint(weights))
    network.save(folder / KERAS_NETWORK)
    _write_litert(tensorflow.lite.TFLiteConverter.from_keras_model(network), folder)
    shutil.copyfile(_IMAGENET_LABELS, folder / LABELS)
    side = variant.input_size
    preprocessing = Preprocessing(side, side / (side + _MARGIN), _MEAN, _SCALE)
    version = f"{_RECIPE}.{checksum(weights)[:8]}"
    write_description(folder, variant.name, version, preprocessing)


def import_network(source: Path, labels: Path, folder: Path, name: str, how: Preprocessing) -> None:
    """Fill a folder with a user's network: a ``.keras`` or ``.tflite`` file or a SavedModel folder.

    ``how.side`` is used only if the network accepts pictures of any size. Raises
    ``ResourceError`` with ``model_unsupported`` or ``labels_invalid``.
    """
    classes = len(read_labels(labels))
    shutil.copyfile(labels, folder / LABELS)
    try:
        _copy_network(source, folder, classes, how.side)
    except ResourceError:
        raise
    except Exception as error:  # TensorFlow and Keras raise all kinds of errors on unreadable networks
        raise ResourceError(Code.MODEL_UNSUPPORTED, f"{source}: {error}") from error
    side = _input_side(folder / LITERT_NETWORK)
    preprocessing = Preprocessing(side, how.crop, how.mean, how.scale)
    logits = _gives_logits(folder / LITERT_NETWORK, classes, preprocessing)
    write_description(folder, name, _version(folder, preprocessing, logits), preprocessing, logits)


def _version(folder: Path, preprocessing: Preprocessing, logits: bool) -> str:
    """Return a version that identifies everything that predictions depend on."""
    parts = (checksum(folder / LITERT_NETWORK), checksum(folder / LABELS), preprocessing, logits)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def _copy_network(source: Path, folder: Path, classes: int, side: int) -> None:
    if source.suffix == ".tflite":
        shutil.copyfile(source, folder / LITERT_NETWORK)
    elif source.suffix == ".keras":
        _copy_keras(source, folder, classes, side)
    elif (source / "saved_model.pb").is_file():
        shutil.copytree(source, folder / SAVED_MODEL_NETWORK)
        converter = import_tensorflow().lite.TFLiteConverter
        _write_litert(converter.from_saved_model(str(folder / SAVED_MODEL_NETWORK)), folder)
    else:
        detail = f"{source} is not a .keras file, .tflite file or SavedModel folder"
        raise ResourceError(Code.MODEL_UNSUPPORTED, detail)


def _copy_keras(source: Path, folder: Path, classes: int, side: int) -> None:
    tensorflow = import_tensorflow()
    network = tensorflow.keras.models.load_model(source, compile=False)
    network = _with_embedding(network, classes, side)
    network.save(folder / KERAS_NETWORK)
    _write_litert(tensorflow.lite.TFLiteConverter.from_keras_model(network), folder)


def _with_embedding(network: Any, classes: int, side: int) -> Any:
    """Give a Keras classifier a second output: the input of its last layer."""
    keras = import_tensorflow().keras
    if network.inputs is None:  # a Sequential that was saved without its input
        network.build((None, side, side, 3))
    if len(network.outputs) != 1:
        detail = f"its {len(network.outputs)} outputs: one is wanted, a score for each class"
        raise ResourceError(Code.MODEL_UNSUPPORTED, detail)
    outputs = {"scores": network.outputs[0]}
    inputs = (getattr(layer, "input", None) for layer in reversed(network.layers))  # none if it is used twice
    features = next(filter(_is_vector, inputs), None)
    if features is not None and features.shape[-1] != classes:
        outputs["embedding"] = features
    picture = keras.Input([size or side for size in network.input_shape[1:3]] + [3])
    return keras.Model(picture, keras.Model(network.inputs, outputs)(picture))


def _is_vector(tensor: Any) -> bool:
    return len(getattr(tensor, "shape", ())) == 2


def _write_litert(converter: Any, folder: Path) -> None:
    (folder / LITERT_NETWORK).write_bytes(converter.convert())


def _input_side(network: Path) -> int:
    from ai_edge_litert.interpreter import Interpreter

    try:
        shape = [int(size) for size in Interpreter(str(network)).get_input_details()[0]["shape"]]
    except ValueError as error:
        raise ResourceError(Code.MODEL_UNSUPPORTED, str(error)) from error
    if len(shape) != 4 or shape[0] != 1 or shape[1] != shape[2] or shape[3] != 3:
        detail = f"its input is {shape}, not one square RGB picture [1, side, side, 3]"
        raise ResourceError(Code.MODEL_UNSUPPORTED, detail)
    return shape[1]


def _gives_logits(network: Path, classes: int, preprocessing: Preprocessing) -> bool:
    """Run the network on black, grey, white and noise: outputs outside 0 to 1 are logits."""
    shape = (preprocessing.side, preprocessing.side, 3)
    plain = [np.full(shape, shade, np.uint8) for shade in (0, 128, 255)]
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    scores = LiteRtEngine(network, classes, preprocessing).predict(np.stack([*plain, noise])).scores
    if not np.isfinite(scores).all():
        raise ResourceError(Code.MODEL_UNSUPPORTED, "its scores are not numbers")
    return bool(scores.min() < 0 or scores.max() > 1)
