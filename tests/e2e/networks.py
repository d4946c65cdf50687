"""Small classifiers of three classes: the class is the strongest colour of the picture."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any


def make_networks(folder: Path) -> None:
    """Write one of each kind that can be imported; this loads TensorFlow."""
    import numpy as np
    import tensorflow

    keras = tensorflow.keras
    picture = keras.Input((32, 32, 3))
    colours = keras.layers.GlobalAveragePooling2D()(picture)
    features = keras.layers.Dense(4, kernel_initializer="ones")(keras.layers.Rescaling(0.01)(colours))
    logits = keras.layers.Dense(3, kernel_initializer="zeros")
    outputs = logits(keras.layers.Concatenate()([colours, features]))
    logits.set_weights([np.vstack([8 * np.eye(3), np.zeros((4, 3))]), np.zeros(3)])
    model = keras.Model(picture, keras.layers.Softmax()(outputs))
    model.save(folder / "net.keras")
    model.export(folder / "net.savedmodel", verbose=False)
    keras.Model(picture, outputs).save(folder / "logits.keras")
    plain = keras.layers.Dense(3, activation="softmax")
    row = [keras.layers.Rescaling(0.5), keras.layers.GlobalAveragePooling2D(), plain]
    # Both ways to write one: with its input, and without, which Keras learns from the first picture.
    sequential = keras.Sequential([keras.Input((32, 32, 3)), *row])
    plain.set_weights([16 * np.eye(3), np.zeros(3)])
    sequential.save(folder / "sequential.keras")
    late = keras.Sequential([keras.Sequential(row)])
    late(np.zeros((1, 32, 32, 3), "float32"))
    late.save(folder / "late.keras")
    keras.Model(picture, [outputs, colours]).save(folder / "two.keras")
    converter = tensorflow.lite.TFLiteConverter.from_keras_model(model)
    (folder / "net.tflite").write_bytes(converter.convert())
    (folder / "quantised.tflite").write_bytes(_quantised(tensorflow, model))


def _quantised(tensorflow: Any, model: Any) -> bytes:
    import numpy as np

    def samples() -> Iterator[list[Any]]:
        for seed in range(50):
            colour = np.random.default_rng(seed).uniform(-1, 1, (1, 1, 1, 3))
            yield [colour.repeat(32, 1).repeat(32, 2).astype("float32")]

    converter = tensorflow.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tensorflow.uint8
    return converter.convert()
