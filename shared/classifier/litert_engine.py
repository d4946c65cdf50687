"""LiteRT: the engine for CPUs, one single-threaded interpreter for each thread that predicts."""

from pathlib import Path
from queue import LifoQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.classifier.engine import Floats, Outputs, quiet
from shared.classifier.model import Preprocessing
from shared.errors import Code, ResourceError
from shared.images import Pixels


class LiteRtEngine:
    """Runs a LiteRT file; each of its interpreters serves one caller at a time.

    Raises ``ResourceError`` with ``model_unsupported`` if the file is not a network, with
    ``labels_invalid`` if the network does not give one score for each class.
    """

    def __init__(self, network: Path, classes: int, preprocessing: Preprocessing, threads: int = 1) -> None:
        self._idle: LifoQueue[_Interpreter] = LifoQueue()
        with quiet():
            for _ in range(threads):
                self._idle.put(_Interpreter(network, classes, preprocessing))

    def predict(self, batch: Pixels) -> Outputs:
        """Run the network on the pictures one by one: a batch gains nothing on a CPU."""
        interpreter = self._idle.get()
        try:
            return _stacked([interpreter.run(pixels) for pixels in batch])
        finally:
            self._idle.put(interpreter)


def _stacked(outputs: list[Outputs]) -> Outputs:
    scores, embeddings = zip(*outputs, strict=True)
    has_embeddings = embeddings[0] is not None
    return Outputs(np.stack(scores), np.stack(embeddings) if has_embeddings else None)


class _Interpreter:
    """One LiteRT interpreter and the indexes of its tensors."""

    def __init__(self, network: Path, classes: int, preprocessing: Preprocessing) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            self._interpreter = Interpreter(str(network), num_threads=1)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ResourceError(Code.MODEL_UNSUPPORTED, f"{network}: {error}") from error
        self._preprocessing = preprocessing
        self._input = self._interpreter.get_input_details()[0]
        # Reused for all pictures: allocating this much memory each time costs more than filling it.
        self._picture = np.empty(self._input["shape"], np.float32)
        outputs = self._interpreter.get_output_details()
        # The converter chooses the order of outputs; their widths identify them.
        self._embedding = next((output for output in outputs if _width(output) != classes), None)
        self._scores = next((output for output in outputs if _width(output) == classes), None)
        if self._scores is None:
            widths = " and ".join(str(_width(output)) for output in outputs)
            detail = f"{classes} labels, but the network gives {widths} numbers"
            raise ResourceError(Code.LABELS_INVALID, detail)

    def run(self, pixels: Pixels) -> Outputs:
        """Run the network on one picture (side, side, 3)."""
        how = self._preprocessing
        np.subtract(pixels, np.float32(how.mean), out=self._picture[0], dtype=np.float32)
        np.multiply(self._picture, np.float32(1 / how.scale), out=self._picture)
        self._interpreter.set_tensor(self._input["index"], _quantised(self._picture, self._input))
        self._interpreter.invoke()
        embedding = None if self._embedding is None else self._read(self._embedding)
        return Outputs(self._read(self._scores), embedding)

    def _read(self, output: Any) -> Floats:
        return _dequantised(self._interpreter.get_tensor(output["index"])[0], output)


def _width(output: Any) -> int:
    return int(output["shape"][-1])


def _quantised(values: Floats, tensor: Any) -> NDArray[Any]:
    """Convert floats to the tensor's type, quantised if needed: ``real = (q - zero) * scale``."""
    dtype = np.dtype(tensor["dtype"])
    if dtype.kind == "f":
        return values
    scale, zero = tensor["quantization"]
    bounds = np.iinfo(dtype)
    quantised: NDArray[Any] = np.clip(np.rint(values / scale + zero), bounds.min, bounds.max)
    return quantised.astype(dtype)


def _dequantised(values: NDArray[Any], tensor: Any) -> Floats:
    if values.dtype.kind == "f":
        return values.astype(np.float32, copy=False).reshape(-1)
    scale, zero = tensor["quantization"]
    real: Floats = (values.astype(np.float32) - zero) * np.float32(scale)
    return real.reshape(-1)
