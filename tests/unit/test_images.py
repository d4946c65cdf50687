import io
import struct
import warnings
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from shared.errors import Code, ItemError
from shared.images import Limits, Picture, decode, thumbnail

Encode = Callable[..., bytes]
RED, BLUE, WHITE, BLACK = (255, 0, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)
_LIMITS = Limits()


def _decode(data: bytes, side: int = 16, crop: float = 1.0, limits: Limits = _LIMITS) -> Picture:
    return decode(data, side, crop, limits)


def _code(data: bytes, limits: Limits = _LIMITS) -> Code:
    with pytest.raises(ItemError) as caught:
        _decode(data, limits=limits)
    return caught.value.code


def _near(pixel: np.ndarray, colour: tuple[int, int, int], tolerance: int = 12) -> bool:
    return bool(np.abs(pixel.astype(int) - colour).max() <= tolerance)


def png_header(width: int, height: int, depth: int = 1, kind: int = 0) -> bytes:
    """A PNG of any claimed size whose data is a few bytes."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 64))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF"])
def test_accepted_formats(format: str, halves: Image.Image, encoded: Encode) -> None:
    picture = _decode(encoded(halves, format))
    assert (picture.format, picture.width, picture.height) == (format, 64, 32)
    assert picture.pixels.shape == (16, 16, 3)
    assert picture.pixels.dtype == np.uint8


def test_tiff_only_where_the_setting_allows_it(halves: Image.Image, encoded: Encode) -> None:
    data = encoded(halves, "TIFF")
    assert _code(data) is Code.UNSUPPORTED_FORMAT
    assert _decode(data, limits=Limits(tiff=True)).format == "TIFF"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", Code.EMPTY_FILE),
        (b"just words in a file called photo.jpg", Code.NOT_AN_IMAGE),
        (b"<!doctype html><html>404</html>", Code.NOT_AN_IMAGE),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Code.UNSUPPORTED_FORMAT),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 40, Code.UNSUPPORTED_FORMAT),
        (b"%PDF-1.7\n", Code.UNSUPPORTED_FORMAT),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, Code.IMAGE_CORRUPT),
        (b"\xff\xd8\xff\xe0garbage", Code.IMAGE_TRUNCATED),
        (b"RIFF\x20\0\0\0WEBPVP8 garbage-garbage", Code.IMAGE_CORRUPT),
    ],
)
def test_content_decides_what_a_file_is(data: bytes, code: Code) -> None:
    assert _code(data) is code


def test_bytes_are_limited(halves: Image.Image, encoded: Encode) -> None:
    data = encoded(halves, "PNG")
    assert _code(data, Limits(max_bytes=len(data) - 1)) is Code.TOO_MANY_BYTES
    assert _decode(data, limits=Limits(max_bytes=len(data))).width == 64


@pytest.mark.parametrize("size", [(20_000, 20_000), (50_000, 50_000), (65_535, 1), (10_000, 9_000)])
def test_a_claimed_size_over_the_limit_is_refused_before_decoding(size: tuple[int, int]) -> None:
    assert _code(png_header(*size)) is Code.TOO_MANY_PIXELS


def test_pixels_at_the_limit_are_decoded(halves: Image.Image, encoded: Encode) -> None:
    data = encoded(halves, "PNG")
    assert _decode(data, limits=Limits(max_pixels=64 * 32)).width == 64
    assert _code(data, Limits(max_pixels=64 * 32 - 1)) is Code.TOO_MANY_PIXELS


def test_a_picture_of_no_size_is_refused() -> None:
    assert _code(png_header(0, 0)) in (Code.IMAGE_CORRUPT, Code.NOT_AN_IMAGE)


def test_a_colour_profile_bomb_unpacks_nothing(halves: Image.Image, encoded: Encode) -> None:
    profile = b"bomb\0\0" + zlib.compress(b"\0" * 50_000_000)
    chunk = struct.pack(">I", len(profile)) + b"iCCP" + profile
    chunk += struct.pack(">I", zlib.crc32(b"iCCP" + profile))
    data = encoded(halves, "PNG")
    assert _decode(data[:33] + chunk + data[33:]).format == "PNG"


def test_a_jpeg_of_endless_scans_is_refused(halves: Image.Image, encoded: Encode) -> None:
    data = encoded(halves, "JPEG", progressive=True)
    assert _decode(data).format == "JPEG"
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert _code(data[:-2] + scan * 200 + data[-2:]) is Code.IMAGE_CORRUPT


def test_what_follows_a_jpeg_is_not_taken_for_scans(halves: Image.Image, encoded: Encode) -> None:
    film = np.random.default_rng(0).bytes(12_000_000)
    assert _decode(encoded(halves, "JPEG") + film).format == "JPEG"


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "I;16"])
def test_a_large_picture_is_shrunk_in_bands_to_the_same_pixels(mode: str, encoded: Encode) -> None:
    size = (1511, 1203)
    ramp = np.linspace(0, 255, size[0]).astype(np.uint8)[None].repeat(size[1], 0)
    ramp[: size[1] // 2] //= 2
    image = Image.fromarray(ramp.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(ramp)
    large = _decode(encoded(image if mode == "I;16" else image.convert(mode), "PNG"), side=32).pixels
    exact = _decode(encoded(image.convert("L") if mode != "I;16" else Image.fromarray(ramp), "JPEG"), side=32)
    assert np.abs(large.astype(int) - exact.pixels).mean() < 4


def test_a_lack_of_memory_is_no_damage(
    monkeypatch: pytest.MonkeyPatch, halves: Image.Image, encoded: Encode
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("shared.images._scale", fail)
    assert _code(encoded(halves, "PNG")) is Code.OUT_OF_MEMORY
    assert Code.OUT_OF_MEMORY.transient


def test_a_raised_pixel_limit_holds(encoded: Encode) -> None:
    data = encoded(Image.new("1", (10_000, 9_500)), "PNG")
    assert _code(data) is Code.TOO_MANY_PIXELS
    assert _decode(data, limits=Limits(max_pixels=100_000_000)).width == 10_000


def test_only_the_centre_is_looked_at() -> None:
    image = Image.new("RGB", (100, 100), "red")
    image.paste("blue", (25, 25, 75, 75))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    assert _near(_decode(stream.getvalue(), crop=0.4).pixels[0, 0], BLUE)
    assert _near(_decode(stream.getvalue(), crop=1.0).pixels[0, 0], RED)


@pytest.mark.parametrize(
    ("orientation", "corners"),
    [
        (1, "rb/rb"),
        (2, "br/br"),
        (3, "br/br"),
        (4, "rb/rb"),
        (5, "rr/bb"),
        (6, "rr/bb"),
        (7, "bb/rr"),
        (8, "bb/rr"),
    ],
)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation(
    format: str, orientation: int, corners: str, halves: Image.Image, encoded: Encode
) -> None:
    square = halves.resize((64, 64))
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = _decode(encoded(square, format, exif=exif)).pixels
    seen = "/".join("".join("r" if pixels[y, x, 0] > 128 else "b" for x in (1, 14)) for y in (1, 14))
    assert seen == corners


def test_a_quarter_turn_swaps_width_and_height(halves: Image.Image, encoded: Encode) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = _decode(encoded(halves, "JPEG", exif=exif))
    assert (picture.width, picture.height) == (32, 64)


def test_damaged_exif_costs_nothing(halves: Image.Image, encoded: Encode) -> None:
    data = encoded(halves, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert _decode(data).width == 64


def test_transparency_is_laid_on_white(encoded: Encode) -> None:
    clear = Image.new("RGBA", (32, 32), (255, 0, 0, 0))
    for format in ("PNG", "WEBP", "AVIF"):
        assert _near(_decode(encoded(clear, format)).pixels[8, 8], WHITE), format


def test_a_transparent_palette_colour_is_white(encoded: Encode) -> None:
    palette = Image.new("P", (32, 32), 0)
    palette.putpalette([*RED, *BLUE])
    data = encoded(palette, "GIF", transparency=0)
    assert _near(_decode(data).pixels[8, 8], WHITE)


def test_cmyk(encoded: Encode) -> None:
    data = encoded(Image.new("CMYK", (32, 32), (0, 255, 255, 0)), "JPEG")
    assert _decode(data).pixels[8, 8, 0] > 200
    assert _decode(data).pixels[8, 8, 2] < 90


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_of_png_becomes_rgb(mode: str, encoded: Encode) -> None:
    picture = _decode(encoded(Image.new(mode, (20, 20)), "PNG"))
    assert picture.pixels.shape == (16, 16, 3)


def test_sixteen_bit_grey_keeps_its_shades(encoded: Encode) -> None:
    shades = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(1, 64).repeat(64, 0)
    row = _decode(encoded(Image.fromarray(shades), "PNG")).pixels[8, :, 0]
    assert row[0] < 20
    assert 110 < row[8] < 150
    assert row[-1] > 235


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_grey_of_unknown_range_is_spread(dtype: type, encoded: Encode) -> None:
    shades = np.linspace(-5000, 90_000, 64).astype(dtype).reshape(1, 64).repeat(64, 0)
    row = _decode(encoded(Image.fromarray(shades), "TIFF"), limits=Limits(tiff=True)).pixels[8, :, 0]
    assert row[0] < 20
    assert row[-1] > 235


def test_only_the_first_frame_is_read(encoded: Encode) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue", "blue")]
    for format in ("GIF", "WEBP", "PNG", "AVIF"):
        data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
        assert _near(_decode(data).pixels[8, 8], RED), format


def test_a_large_photograph_is_scaled_while_it_is_decoded(encoded: Encode) -> None:
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 255, (30, 40, 3), np.uint8))
    photo = small.resize((4000, 3000), Image.Resampling.BICUBIC)
    drafted = _decode(encoded(photo, "JPEG"), side=224, crop=0.875).pixels.astype(int)
    exact = decode(encoded(photo, "BMP"), 224, 0.875, Limits(max_bytes=40_000_000)).pixels.astype(int)
    assert np.abs(drafted - exact).mean() < 2


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP"])
def test_cut_short_anywhere_it_ends_as_a_code_or_a_picture(
    format: str, halves: Image.Image, encoded: Encode
) -> None:
    data = encoded(halves, format)
    refused = 0
    for length in range(len(data)):
        try:
            _decode(data[:length])
        except ItemError:
            refused += 1
    assert refused >= len(data) * 0.8  # a checksum at the very end may be missing


def test_a_truncated_jpeg_is_called_so(encoded: Encode) -> None:
    noise = Image.effect_noise((200, 200), 90)
    assert _code(encoded(noise, "JPEG")[:-3000]) is Code.IMAGE_TRUNCATED


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    format=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF", "TIFF"]),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_flipped_bytes_end_as_a_code_or_a_picture(
    format: str, flips: list[tuple[float, int]], halves: Image.Image, encoded: Encode
) -> None:
    data = bytearray(encoded(halves, format))
    for place, value in flips:
        data[int(place * len(data))] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            picture = _decode(bytes(data), limits=Limits(tiff=True))
        except ItemError:
            return
    assert picture.pixels.shape == (16, 16, 3)


def _seen(side: int) -> np.ndarray:
    """Return the noisiest square of pixels that there can be, its left half red."""
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    pixels[:, : side // 2] = RED
    return pixels


@pytest.mark.parametrize(("side", "expected"), [(224, 128), (260, 128), (128, 128), (96, 96)])
def test_a_thumbnail_is_shrunk_and_never_enlarged(side: int, expected: int) -> None:
    with Image.open(io.BytesIO(thumbnail(_seen(side), 128))) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (expected, expected))
        assert _near(np.asarray(image)[expected // 2, expected // 4], RED)


def test_a_thumbnail_has_no_metadata() -> None:
    with Image.open(io.BytesIO(thumbnail(_seen(224), 128))) as image:
        assert not image.getexif()
        assert not {"exif", "icc_profile", "comment", "xmp"} & image.info.keys()


def test_a_thumbnail_of_any_picture_is_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    assert len(thumbnail(noise, 128)) < 128 * 128


def test_the_pixels_of_a_thumbnail_stay_as_they_were() -> None:
    pixels = _seen(224)
    before = pixels.copy()
    pixels.setflags(write=False)
    thumbnail(pixels, 32)
    assert (pixels == before).all()
