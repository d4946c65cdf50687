"""Top-1 and top-5 accuracy by model and preprocessing.

The pictures are probably from ImageNet's training part: good for comparisons, not for a claim.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.measure import pictures, print_table
from shared.classifier.catalogue import Catalogue
from shared.classifier.classifier import top_k
from shared.classifier.engine import LITERT, Engine, open_engine
from shared.classifier.model import Model
from shared.images import Limits, Pixels, decode
from shared.settings import read_settings

_CORES = len(os.sched_getaffinity(0))
_LIMITS = Limits()
#: As in ``results_api/static/picture.js``.
_SENT_SIDE, _SENT_QUALITY = 448, 85
_Preprocess = Callable[[Path, int], Pixels]


def as_shipped(path: Path, side: int) -> Pixels:
    """Preprocess as the product does."""
    return decode(path.read_bytes(), side, side / (side + 32), _LIMITS).pixels


def centre(path: Path, side: int, crop: float | None, resample: Image.Resampling) -> Pixels:
    """Scale the centre square; ``crop`` None means side / (side + 32)."""
    with Image.open(path) as image:
        edge = min(image.size) * (crop or side / (side + 32))
        left, upper = (image.width - edge) / 2, (image.height - edge) / 2
        box = (left, upper, left + edge, upper + edge)
        return np.asarray(image.convert("RGB").resize((side, side), resample, box=box))


def squash(path: Path, side: int) -> Pixels:
    """Scale the whole picture and ignore its aspect ratio."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC))


def as_from_phone(path: Path, side: int) -> Pixels:
    """Preprocess the JPEG that the phone page would send: short side 448, quality 85."""
    with Image.open(path) as image:
        image.thumbnail(_cover(image.size), Image.Resampling.BILINEAR)
        sent = BytesIO()
        image.convert("RGB").save(sent, "JPEG", quality=_SENT_QUALITY)
    return decode(sent.getvalue(), side, side / (side + 32), _LIMITS).pixels


def _cover(size: tuple[int, int]) -> tuple[float, float]:
    scale = _SENT_SIDE / min(size)
    return size[0] * scale, size[1] * scale


_PREPROCESSINGS: dict[str, _Preprocess] = {
    "centre crop, bicubic (ours)": as_shipped,
    "the same, shrunk by the phone page": as_from_phone,
    "centre crop, bilinear": partial(centre, crop=None, resample=Image.Resampling.BILINEAR),
    "centre crop, Lanczos": partial(centre, crop=None, resample=Image.Resampling.LANCZOS),
    "whole short side, bicubic": partial(centre, crop=1.0, resample=Image.Resampling.BICUBIC),
    "whole picture squashed, bicubic": squash,
}


def main() -> None:
    """Measure and print."""
    settings = read_settings(os.environ)
    catalogue = Catalogue(settings.cache_dir, settings.data_dir)
    print_table(("model", "preprocessing", "top-1 %", "top-5 %"), _rows(catalogue))


def _rows(catalogue: Catalogue) -> Iterator[tuple[str, str, str, str]]:
    for name in ("lite0", "lite1", "lite2"):
        model = catalogue.model(name)
        engine = open_engine(model, LITERT, _CORES)
        for label, preprocess in _PREPROCESSINGS.items():
            first, five = _accuracy(model, engine, preprocess)
            yield name, label, f"{first:.1f}", f"{five:.1f}"


def _accuracy(model: Model, engine: Engine, preprocess: _Preprocess) -> tuple[float, float]:
    side = model.description.preprocessing.side

    def rank(path: Path) -> int | None:
        scores = engine.predict(preprocess(path, side)[None]).scores[0]
        best = [model.labels[place].wordnet_id for place in top_k(scores, 5)]
        return best.index(path.stem) if path.stem in best else None

    with ThreadPoolExecutor(_CORES) as threads:
        ranks = list(threads.map(rank, pictures()))
    first, five = (sum(rank is not None and rank < k for rank in ranks) for k in (1, 5))
    return 100 * first / len(ranks), 100 * five / len(ranks)


if __name__ == "__main__":
    main()
