"""The table of hostile images: `ok` must decode, `rej` must be refused with a code, quickly."""

import csv
import warnings
from pathlib import Path

import pytest

from shared.errors import ItemError
from shared.images import Limits, decode

#: What the table's decoder refused and ours decodes: valid big-endian 16-bit grey, a picture with a text that
#: is a bomb, which is skipped, and two that lack nothing but their end marker.
_BETTER = {
    *("16bit.MM.cropped.tif", "16bit.MM.deflate.tif"),
    *("png_decompression_dos.png", "truncated_end_chunk.png", "truncated_jpeg.jpg"),
}


def _verdict(data: bytes, limits: Limits) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            picture = decode(data, 224, 0.875, limits)
    except ItemError:
        return "rej"
    assert picture.pixels.shape == (224, 224, 3)
    return "ok"


@pytest.mark.timeout(60)  # a hang is a failure too
def test_the_verdict_on_every_file(test_data: Path) -> None:
    folder = test_data / "hostile"
    with (folder / "VERDICTS.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) > 100
    wrong = []
    for row in rows:
        verdict = _verdict((folder / row["file"]).read_bytes(), Limits(max_pixels=50_000_000, tiff=True))
        if verdict != row["verdict"] and row["file"] not in _BETTER:
            wrong.append((row["file"], verdict))
    assert wrong == []


def test_without_the_setting_no_tiff_is_decoded(test_data: Path) -> None:
    for path in (test_data / "hostile").glob("*.tif*"):
        assert _verdict(path.read_bytes(), Limits()) == "rej", path.name
