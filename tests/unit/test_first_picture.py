"""What a model does not need decides nothing: side data of every format, damaged, huge or appended."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PIL import Image

from shared.errors import Code, ItemError
from shared.images import Limits, Picture, decode

Encode = Callable[..., bytes]
_LIMITS = Limits(tiff=True)
_JUNK = bytes(range(256)) * 40
_ZIP = b"PK\x03\x04" + _JUNK


def _decode(data: bytes) -> Picture:
    return decode(data, 32, 1.0, _LIMITS)


def _same(one: bytes, other: bytes) -> bool:
    """Tell whether two files show the same picture to the model."""
    ours, theirs = _decode(one), _decode(other)
    assert (ours.width, ours.height, ours.format) == (theirs.width, theirs.height, theirs.format)
    return np.array_equal(ours.pixels, theirs.pixels)


def _code(data: bytes) -> Code:
    with pytest.raises(ItemError) as caught:
        _decode(data)
    return caught.value.code


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """A picture with detail everywhere, so that a missing part shows."""
    noise = np.random.default_rng(3).integers(0, 255, (30, 40, 3), np.uint8)
    return Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC)


def _chunk(name: bytes, content: bytes, checksum: int | None = None) -> bytes:
    checksum = zlib.crc32(name + content) if checksum is None else checksum
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


_BOMB = zlib.compress(bytes(30_000_000))
_PNG_SIDE_DATA = {
    "a large compressed text": _chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2_000_000))),
    "a text compressed in another way": _chunk(b"zTXt", b"k\0\7words"),
    "an empty text": _chunk(b"tEXt", b""),
    "a large international text": _chunk(b"iTXt", b"k\0\1\0en\0k\0" + zlib.compress(bytes(2_000_000))),
    "a hundred texts of a megabyte": _chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1_000_000))) * 100,
    "a profile that is a bomb": _chunk(b"iCCP", b"name\0\0" + _BOMB),
    "a profile compressed in another way": _chunk(b"iCCP", b"name\0\1x"),
    "a profile without a name": _chunk(b"iCCP", b"x"),
    "a short gamma": _chunk(b"gAMA", b"\0"),
    "short chromaticities": _chunk(b"cHRM", b"\0\0"),
    "an empty intent": _chunk(b"sRGB", b""),
    "a short size of pixels": _chunk(b"pHYs", b"\0"),
    "a wrong checksum": _chunk(b"pHYs", bytes(9), 1),
    "a short transparent colour": _chunk(b"tRNS", b"\0"),
    "a transparent colour with a wrong checksum": _chunk(b"tRNS", bytes(6), 1),
    "a palette that is only suggested": _chunk(b"PLTE", b"xy"),
    "damaged EXIF": _chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff"),
    "EXIF with a wrong checksum": _chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0", 1),
    "a private chunk": _chunk(b"prVt", _JUNK, 1),
    "a short control of an animation": _chunk(b"acTL", b"\0"),
    "frames out of order": _chunk(b"acTL", bytes(7) + b"\2") + _chunk(b"fcTL", b"\0\0\0\7" + bytes(22)),
}


@pytest.mark.parametrize("what", _PNG_SIDE_DATA)
def test_side_data_of_a_png(what: str, photo: Image.Image, encoded: Encode) -> None:
    png, chunk = encoded(photo, "PNG"), _PNG_SIDE_DATA[what]
    assert _same(png[:33] + chunk + png[33:], png)
    assert _same(png[:-12] + chunk + png[-12:], png)
    middle = png.index(b"IDAT", 50) - 4
    assert _same(png[:middle] + chunk + png[middle:], png)


def test_the_end_of_a_png(photo: Image.Image, encoded: Encode) -> None:
    png = encoded(photo, "PNG")
    for data in (png[:-12], png[:-4], png[:-16], png + _ZIP, png + png, png[:-12] + _ZIP):
        assert _same(data, png)


def test_a_transparent_colour_or_palette_still_counts(encoded: Encode) -> None:
    for mode in ("P", "L", "RGB"):
        image = Image.new(mode, (32, 32), 0)
        data = encoded(image, "PNG", transparency=(0, 0, 0) if mode == "RGB" else 0)
        assert _decode(data).pixels.min() == 255, mode


def _segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


_JPEG_SIDE_DATA = {
    "a comment": _segment(0xFE, _JUNK),
    "an empty comment": _segment(0xFE, b""),
    "another comment of any length": _segment(0xFE, bytes(65_000)) * 40,
    "a short JFIF": _segment(0xE0, b"JFIF\0"),
    "a short Adobe": _segment(0xEE, b"Adobe"),
    "damaged EXIF": _segment(0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff"),
    "EXIF of thousands of entries": _segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + _JUNK),
    "XMP": _segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<broken"),
    "a profile in missing parts": _segment(0xE2, b"ICC_PROFILE\0\3\7" + _JUNK),
    "a short profile": _segment(0xE2, b"ICC_PROFILE\0"),
    "a damaged index of pictures": _segment(0xE2, b"MPF\0II*\0\xff\xff\xff\xff"),
    "an index of pictures that are not there": _segment(
        0xE2, b"MPF\0MM\0*\0\0\0\x08\0\1\xb0\1\0\4\0\0\0\1\0\0\0\x09\0\0\0\0"
    ),
    "damaged Photoshop data": _segment(0xED, b"Photoshop 3.0\0008BIM\x03\xed\0\0\0\0\0\x01"),
    "a thumbnail": _segment(0xE1, b"Exif\0\0" + b"\xff\xd8\xff\xda\x00\x08\x01" * 100 + b"\xff\xd9"),
    "fill bytes": b"\xff" * 300,
}


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("what", _JPEG_SIDE_DATA)
def test_side_data_of_a_jpeg(what: str, progressive: bool, photo: Image.Image, encoded: Encode) -> None:
    jpeg = encoded(photo, "JPEG", progressive=progressive)
    table = jpeg.index(b"\xff\xdb")
    assert _same(jpeg[:table] + _JPEG_SIDE_DATA[what] + jpeg[table:], jpeg)
    assert _same(jpeg[:2] + _JPEG_SIDE_DATA[what] + jpeg[2:], jpeg)
    scan = jpeg.index(b"\xff\xda")
    assert _same(jpeg[:scan] + _JPEG_SIDE_DATA[what] + jpeg[scan:], jpeg)


@pytest.fixture(params=["baseline", "progressive", "grey", "restarts", "full colour"])
def jpeg(request: pytest.FixtureRequest, photo: Image.Image, encoded: Encode) -> bytes:
    return {
        "baseline": lambda: encoded(photo, "JPEG"),
        "progressive": lambda: encoded(photo, "JPEG", progressive=True, quality=92),
        "grey": lambda: encoded(photo.convert("L"), "JPEG", quality=60),
        "restarts": lambda: encoded(photo, "JPEG", restart_marker_rows=1),
        "full colour": lambda: encoded(photo, "JPEG", subsampling=0, optimize=True),
    }[request.param]()


def test_what_follows_a_jpeg_decides_nothing(jpeg: bytes) -> None:
    film = b"\0\0\0\x18ftypmp42" + _JUNK
    for more in (jpeg * 60, film, _ZIP, b"\n", bytes(5000), b"\xff" * 9, b"\xff\xda\x00\x08\x01" * 99):
        assert _same(jpeg + more, jpeg)


def test_a_jpeg_without_its_end_marker_is_whole(jpeg: bytes) -> None:
    for data in (jpeg[:-2], jpeg[:-1], jpeg[:-2] + jpeg, jpeg[:-2] + _segment(0xFE, b"words")):
        assert _same(data, jpeg)


def test_half_a_jpeg_is_not(jpeg: bytes) -> None:
    for part in (0.3, 0.5, 0.75, 0.9, 0.97):
        half = jpeg[: int(len(jpeg) * part)]
        for rest in (b"", bytes(len(jpeg)), b"\xff" * 500, jpeg):
            assert _code(half + rest) in (Code.IMAGE_TRUNCATED, Code.IMAGE_CORRUPT), (part, rest[:1])


def test_a_progressive_jpeg_without_its_last_scans_is_truncated(photo: Image.Image, encoded: Encode) -> None:
    jpeg = encoded(photo, "JPEG", progressive=True)
    scans = [at for at in range(len(jpeg)) if jpeg[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 5
    for at in scans[1:]:
        tables = jpeg.rindex(b"\xff\xc4", 0, at)
        assert _code(jpeg[:at]) is _code(jpeg[:tables]) is Code.IMAGE_TRUNCATED


def test_the_bytes_of_a_thumbnail_are_no_scans(photo: Image.Image, encoded: Encode) -> None:
    thumbnail = _segment(0xE1, b"Exif\0\0" + b"\xff\xda\x00\x08\x01" * 9000)
    jpeg = encoded(photo, "JPEG")
    assert _same(jpeg[:2] + thumbnail + jpeg[2:], jpeg)


def test_colours_that_a_segment_names_are_kept(photo: Image.Image, encoded: Encode) -> None:
    for image in (photo, photo.convert("CMYK"), photo.convert("L")):
        for options in ({}, {"keep_rgb": True} if image.mode == "RGB" else {}):
            data = encoded(image, "JPEG", quality=95, **options)
            with Image.open(io.BytesIO(data)) as opened:
                exact = np.asarray(
                    opened.convert("RGB").resize((32, 32), Image.Resampling.BICUBIC, (40, 0, 280, 240))
                )
            assert np.abs(_decode(data).pixels.astype(int) - exact).max() < 12


_UNUSUAL = {"12-bit JPEG": (4, 12), "JPEG of 2 components": (9, 2)}


@pytest.mark.parametrize("name", _UNUSUAL)
def test_an_unusual_jpeg_is_called_so(name: str, photo: Image.Image, encoded: Encode) -> None:
    data = bytearray(encoded(photo, "JPEG"))
    frame, (place, value) = data.index(b"\xff\xc0"), _UNUSUAL[name]
    data[frame + place] = value
    with pytest.raises(ItemError) as caught:
        _decode(bytes(data))
    assert (caught.value.code, caught.value.detail) == (Code.UNSUPPORTED_FORMAT, name)


@pytest.mark.parametrize(
    ("marker", "name"), [(0xC3, "lossless JPEG"), (0xC5, "hierarchical JPEG"), (0xCB, "hierarchical JPEG")]
)
def test_jpegs_that_nobody_decodes_are_called_so(
    marker: int, name: str, photo: Image.Image, encoded: Encode
) -> None:
    data = encoded(photo, "JPEG").replace(b"\xff\xc0", bytes([0xFF, marker]), 1)
    with pytest.raises(ItemError) as caught:
        _decode(data)
    assert (caught.value.code, caught.value.detail) == (Code.UNSUPPORTED_FORMAT, name)


def _riff(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _webps(photo: Image.Image, encoded: Encode) -> Iterator[bytes]:
    clear = photo.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(photo.size))
    yield encoded(photo, "WEBP")
    yield encoded(photo, "WEBP", lossless=True)
    yield encoded(clear, "WEBP")
    yield encoded(clear, "WEBP", lossless=True)
    yield encoded(photo, "WEBP", icc_profile=_JUNK, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff", xmp=b"<broken")
    yield encoded(photo, "WEBP", save_all=True, append_images=[photo.rotate(90), photo.rotate(180)])


def test_side_data_of_a_webp(photo: Image.Image, encoded: Encode) -> None:
    for webp in _webps(photo, encoded):
        size = struct.unpack("<I", webp[4:8])[0]
        for wrong in (0, size - 1, size + 1, size + 2, size - 8, 2**31, 2**32 - 1):
            assert _same(webp[:4] + struct.pack("<I", wrong) + webp[8:], webp), wrong
        for more in (
            _ZIP,
            b"\0",
            bytes(99),
            _riff(b"EXIF", b"MM\0*"),
            _riff(b"XMP ", b"x"),
            b"EXIF\xff\xff\xff\x7f",
        ):
            assert _same(webp + more, webp)
        for chunk in (_riff(b"JUNK", _JUNK), _riff(b"ICCP", b"x"), _riff(b"EXIF", _JUNK), b"ICCP\1\0\0\0x"):
            assert _same(webp[:12] + chunk + webp[12:], webp)


def test_half_a_webp_is_none(photo: Image.Image, encoded: Encode) -> None:
    *still, animated = _webps(photo, encoded)
    for webp in still:
        for part in (0.3, 0.6, 0.9):
            assert _code(webp[: int(len(webp) * part)]) in (Code.IMAGE_TRUNCATED, Code.IMAGE_CORRUPT), part
    frame = animated.index(b"ANMF", animated.index(b"ANMF") + 4)
    assert _same(animated[: frame + 100], animated), "of an animation, the first frame is enough"
    assert _code(animated[: frame // 2]) in (Code.IMAGE_TRUNCATED, Code.IMAGE_CORRUPT)


def _blocks(content: bytes) -> bytes:
    return b"".join(
        bytes([len(content[at : at + 255])]) + content[at : at + 255] for at in range(0, len(content), 255)
    )


_GIF_SIDE_DATA = {
    "a long comment": b"!\xfe" + _blocks(bytes(range(1, 256)) * 4000) + b"\0",
    "an empty comment": b"!\xfe\0",
    "an unknown application": b"!\xff\x0bWHATEVER1.0" + _blocks(_JUNK) + b"\0",
    "a short application": b"!\xff\x03abc\0",
    "a loop that says nothing": b"!\xff\x0bNETSCAPE2.0\0",
    "text to be drawn by nobody": b"!\x01\x0c" + bytes(12) + _blocks(b"words") + b"\0",
    "a short control": b"!\xf9\x01\x01\0",
    "an unknown extension": b"!\x77" + _blocks(_JUNK) + b"\0",
    "stray zeros": bytes(5),
}


@pytest.mark.parametrize("what", _GIF_SIDE_DATA)
def test_side_data_of_a_gif(what: str, photo: Image.Image, encoded: Encode) -> None:
    gif = encoded(photo, "GIF")
    start = 13 + 768
    assert _same(gif[:start] + _GIF_SIDE_DATA[what] + gif[start:], gif)
    assert _same(gif[:-1] + _GIF_SIDE_DATA[what], gif)


def test_the_end_of_a_gif(photo: Image.Image, encoded: Encode) -> None:
    gif = encoded(photo, "GIF")
    for data in (gif[:-1], gif[:-2], gif + _ZIP, gif + gif, gif[:-1] + _ZIP):
        assert _same(data, gif)
    for part in (0.3, 0.6, 0.9, 0.98):
        assert _code(gif[: int(len(gif) * part)]) in (Code.IMAGE_TRUNCATED, Code.IMAGE_CORRUPT)


def _tagged(tiff: bytes, entry: bytes) -> bytes:
    """Put the directory of a TIFF at its end, with one entry more."""
    (start,) = struct.unpack("<I", tiff[4:8])
    (count,) = struct.unpack("<H", tiff[start : start + 2])
    entries = tiff[start + 2 : start + 2 + 12 * count] + entry
    directory = struct.pack("<H", count + 1) + entries + b"\xf0\xff\xff\x7f"
    return tiff[:4] + struct.pack("<I", len(tiff)) + tiff[8:] + directory


_TIFF_SIDE_DATA = {
    "a description that is not there": struct.pack("<HHII", 270, 2, 5000, 2**31),
    "a profile larger than the file": struct.pack("<HHII", 34675, 7, 2**31, 8),
    "EXIF that is not there": struct.pack("<HHII", 34665, 4, 1, 2**31),
    "directories that are not there": struct.pack("<HHII", 330, 4, 2, 2**31),
    "an unknown type": struct.pack("<HHII", 50000, 99, 3, 2**31),
    "a resolution without a denominator": struct.pack("<HHII", 282, 5, 1, 2**31),
    "a software without words": struct.pack("<HHII", 305, 2, 0, 0),
}


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate", "jpeg"])
@pytest.mark.parametrize("what", _TIFF_SIDE_DATA)
def test_side_data_of_a_tiff(what: str, compression: str | None, photo: Image.Image, encoded: Encode) -> None:
    tiff = encoded(photo, "TIFF", compression=compression)
    assert _same(_tagged(tiff, _TIFF_SIDE_DATA[what]), tiff)
    assert _same(tiff + _ZIP, tiff)


def test_a_tiff_is_turned(photo: Image.Image, encoded: Encode) -> None:
    for big in (False, True):
        picture = _decode(encoded(photo, "TIFF", tiffinfo={274: 6}, big_tiff=big))
        assert (picture.width, picture.height) == (240, 320)


@pytest.fixture(scope="module")
def avif(photo: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "a description"
    stream = io.BytesIO()
    photo.save(stream, "AVIF", exif=exif, xmp=b"<xmp>words</xmp>", speed=10)
    return stream.getvalue()


def test_side_data_of_an_avif(avif: bytes) -> None:
    """The lengths of the items stay; what they say is damaged."""
    for part, damage in (
        (b"Exif\0\0MM", b"\xff" * 10),
        (b"MM\0*\0\0\0\x08", b"MM\0*\xff\xff\xff\xff"),
        (b"<xmp>", b"\xff<<<<"),
    ):
        at = avif.rindex(part)
        assert _same(avif[:at] + damage + avif[at + len(damage) :], avif)
    assert _same(avif + _ZIP, avif)
    assert _same(avif + b"\0\0\0\7free", avif)
    assert _code(avif[: int(len(avif) * 0.7)]) in (Code.IMAGE_TRUNCATED, Code.IMAGE_CORRUPT)


def test_a_turned_avif(photo: Image.Image, encoded: Encode) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = _decode(encoded(photo, "AVIF", exif=exif, speed=10))
    assert (picture.width, picture.height) == (240, 320)


def test_side_data_of_a_bmp(photo: Image.Image, encoded: Encode) -> None:
    bmp = encoded(photo, "BMP")
    for size in (0, 54, len(bmp) + 1, 2**32 - 1):
        assert _same(bmp[:2] + struct.pack("<I", size) + bmp[6:], bmp)
    for reserved in (b"\xff" * 4,):
        assert _same(bmp[:6] + reserved + bmp[10:], bmp)
    assert _same(bmp + _ZIP, bmp)
    assert _code(bmp[: len(bmp) // 2]) in (Code.IMAGE_TRUNCATED, Code.IMAGE_CORRUPT)
