"""The one table of formats: what a file is called, by its first bytes, before and while it is decoded."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from shared.errors import Code, ItemError
from shared.image_signatures import SIGNATURE_SIZE, check_format
from shared.images import Limits, decode

_ALL = Limits(tiff=True)


def _brands(major: bytes, *others: bytes) -> bytes:
    size = 16 + 4 * len(others)
    return size.to_bytes(4, "big") + b"ftyp" + major + bytes(4) + b"".join(others)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        *((_brands(brand, b"mif1"), "HEIC") for brand in (b"heic", b"heix", b"heim", b"heis")),
        *((_brands(brand, b"msf1"), "HEIC") for brand in (b"hevc", b"hevx", b"hevm", b"hevs")),
        (_brands(b"mif1", b"mif1", b"heic"), "HEIC"),
        (_brands(b"heic", b"mif1", b"MiHB", b"MiHE", b"MiPr", b"miaf", b"MiHB", b"heic", b"tmap"), "HEIC"),
        (_brands(b"miaf", *[b"MiXX"] * 60, b"heic"), "HEIC"),
        *((_brands(brand, b"mif1"), "HEIF") for brand in (b"mif1", b"msf1", b"avci", b"vvic", b"miaf")),
        (_brands(b"crx ", b"isom"), "camera raw"),
        (_brands(b"jxl ", b"isom"), "JPEG XL"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\x04CgBI\x50\0\x20\x02", "CgBI PNG"),
        (b"\xff\xd8\xff\xf7\0\x0b\x08", "JPEG-LS"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51\0\x2f", "JPEG 2000"),
        (b"II\xbc\x01", "JPEG XR"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- by a program -->\n<svg>", "SVG"),
        (b'<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN">', "SVG"),
        (b"%PDF-1.7\n", "PDF"),
        (b"%!PS-Adobe-3.0", "EPS"),
        (b"8BPS\0\1", "PSD"),
        (b"8BPB\0\2", "PSD"),
        (b"\0\0\1\0\1\0", "ICO"),
        (b"II*\0\x10\0\0\0CR\x02\0", "CR2"),
        (b"FUJIFILMCCD-RAW 0201", "camera raw"),
        (b"gimp xcf v011", "XCF"),
        (b"\0" * 128 + b"DICM", "DICOM"),
    ],
)
def test_a_format_that_is_not_taken_is_called_by_its_name(data: bytes, name: str) -> None:
    for refuse in (check_format, lambda data, _: decode(data, 32, 1.0, _ALL)):
        with pytest.raises(ItemError) as caught:
            refuse(data.ljust(600, b"\0"), _ALL.formats)
        assert caught.value.code is Code.UNSUPPORTED_FORMAT
        assert caught.value.detail.partition(":")[0] == name


@pytest.mark.parametrize(
    "data",
    [
        b"<html><svg></svg></html>",
        b"<?xml version='1.0'?><rss/>",
        b"GIF8ever",
        _brands(b"isom", b"mp41"),
        b"RIFF\0\0\0\0WAVE",
    ],
)
def test_what_is_no_image_is_not_called_one(data: bytes) -> None:
    with pytest.raises(ItemError) as caught:
        check_format(data, _ALL.formats)
    assert caught.value.code is Code.NOT_AN_IMAGE


def test_who_has_heic_is_told_what_to_do() -> None:
    with pytest.raises(ItemError) as caught:
        check_format(_brands(b"heic", b"mif1"), Limits().formats)
    assert "SMARTSIGHT_HEIC=yes" in caught.value.detail


def _avif() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (32, 32), "teal").save(stream, "AVIF", speed=10)
    return stream.getvalue()


@pytest.mark.parametrize("major", [b"avif", b"mif1", b"mif2", b"msf1", b"miaf", b"MA1B", b"xxxx"])
@pytest.mark.parametrize("before", [0, 5, 60])
def test_an_avif_is_one_by_any_of_its_brands(major: bytes, before: int) -> None:
    data = _avif()
    size = int.from_bytes(data[:4], "big")
    # Places in the file are counted from its beginning: the room that the brands take is given back.
    room = 4 * (before + 1) + 16 - size
    data = _brands(major, *[b"MiXX"] * before, b"avif") + _moved(data[size:], room)
    assert check_format(data[:SIGNATURE_SIZE], Limits().formats) == "AVIF"
    assert decode(data, 32, 1.0, Limits()).format == "AVIF"


def _moved(boxes: bytes, by: int) -> bytes:
    """Correct the place of the one item of an AVIF, as its file gets longer."""
    at = boxes.index(b"iloc") + 4 + 4 + 2 + 2 + 2 + 2 + 2
    place = int.from_bytes(boxes[at : at + 4], "big") + by
    return boxes[:at] + place.to_bytes(4, "big") + boxes[at + 4 :]


def _files(test_data: Path) -> Iterator[Path]:
    for folder in ("hostile", "cases"):
        yield from sorted(path for path in (test_data / folder).iterdir() if path.suffix != ".tsv")


@pytest.mark.parametrize("limits", [Limits(), _ALL], ids=["default", "tiff"])
def test_the_first_bytes_and_the_decoder_agree_on_every_file(limits: Limits, test_data: Path) -> None:
    for path in _files(test_data):
        data = path.read_bytes()
        assert _refusal_by_signature(data, limits) == _refusal_by_decoder(data, limits), path.name


_BY_SIGNATURE = (Code.NOT_AN_IMAGE, Code.UNSUPPORTED_FORMAT)


def _refusal_by_signature(data: bytes, limits: Limits) -> object:
    try:
        check_format(data[:SIGNATURE_SIZE], limits.formats)
    except ItemError as error:
        return error.code, error.detail
    return None


def _refusal_by_decoder(data: bytes, limits: Limits) -> object:
    try:
        decode(data, 32, 1.0, limits)
    except ItemError as error:
        return (error.code, error.detail) if error.code in _BY_SIGNATURE else None
    return None
