"""Numbers on the command line."""

import argparse
import math
from collections.abc import Callable


def number(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
    """Return what reads a number above or at ``low``, up to ``high``."""

    def read(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {low} to {high}")
        return number

    return read
