"""Engines run networks: one Protocol, two implementations, and the choice between them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from shared.classifier.model import LITERT_NETWORK, Model
from shared.errors import Code, ResourceError
from shared.images import Pixels

Floats = NDArray[np.float32]

AUTO, LITERT, TENSORFLOW = "auto", "litert", "tensorflow"
ENGINES = (AUTO, LITERT, TENSORFLOW)
_GPU_DEVICE = Path("/dev/nvidiactl")


class Outputs(NamedTuple):
    """For n pictures: ``scores`` (n, classes), ``embeddings`` (n, features) if the network has any."""

    scores: Floats
    embeddings: Floats | None


class Engine(Protocol):
    """Runs one network, including preprocessing; thread-safe."""

    def predict(self, batch: Pixels) -> Outputs:
        """Run the network on a batch of pictures (n, side, side, 3), 0 to 255."""
        ...


def open_engine(model: Model, engine: str = AUTO, threads: int = 1) -> Engine:
    """Return the engine with this name, for this many threads.

    ``auto`` is TensorFlow if a GPU is visible and TensorFlow is installed, and else LiteRT.

    Raises ``ResourceError(model_broken)`` if the network's file is missing or altered, and
    ``ResourceError(model_unsupported)`` if the model has no network for the engine.
    """
    if engine == TENSORFLOW or (engine == AUTO and _tensorflow_serves() and not _only_litert(model)):
        from shared.classifier.tensorflow_engine import TensorFlowEngine

        return TensorFlowEngine(model)
    if not model.has(LITERT_NETWORK):
        raise ResourceError(Code.MODEL_UNSUPPORTED, f"{model.name} has no LiteRT network")
    from shared.classifier.litert_engine import LiteRtEngine

    network = model.verified(LITERT_NETWORK)
    return LiteRtEngine(network, len(model.labels), model.description.preprocessing, threads)


def gpu_is_visible() -> bool:
    """Tell whether an Nvidia device exists and is not hidden, without loading TensorFlow."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return _GPU_DEVICE.exists() and not hidden


def _tensorflow_serves() -> bool:
    return gpu_is_visible() and find_spec("tensorflow") is not None


def _only_litert(model: Model) -> bool:
    networks = [file for file in model.description.checksums if file.startswith("network.")]
    return networks == [LITERT_NETWORK]


@contextmanager
def quiet() -> Iterator[None]:
    """Silence standard error while a network is loaded.

    LiteRT reports its delegate there and has no switch; TensorFlow reports missing graphics cards before it
    reads its own switch.
    """
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
