"""The lower bound of labelling: Pillow's decode and resize and the bare interpreter in one loop.

Run as a program, it labels the pictures that it is given and prints the processor seconds of the loop.
"""

import sys
import time
from collections.abc import Sequence

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image


def label(network: str, paths: Sequence[str], side: int, crop: float) -> float:
    """Return the CPU seconds for the pictures, once everything is loaded."""
    interpreter = Interpreter(network, num_threads=1)
    interpreter.allocate_tensors()
    place = interpreter.get_input_details()[0]["index"]
    batch = np.empty((1, side, side, 3), np.float32)
    started = time.process_time()
    for path in paths:
        with Image.open(path) as image:
            edge = min(image.size) * crop
            left, upper = (image.width - edge) / 2, (image.height - edge) / 2
            box = (left, upper, left + edge, upper + edge)
            square = image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC, box=box)
        np.subtract(np.asarray(square), np.float32(127), out=batch[0], dtype=np.float32)
        batch *= np.float32(1 / 128)
        interpreter.set_tensor(place, batch)
        interpreter.invoke()
    return time.process_time() - started


if __name__ == "__main__":
    print(label(sys.argv[1], sys.argv[4:], int(sys.argv[2]), float(sys.argv[3])))
