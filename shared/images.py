"""Decode an image file to the square of pixels that a model takes; only this module uses Pillow.

The bytes are untrusted. Their format is determined from the content, never from a name or a header;
size limits are checked before anything is unpacked; every failure is an ``ItemError``.
"""

import importlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import AvifImagePlugin, Image, UnidentifiedImageError

from shared.errors import Code, ItemError
from shared.image_content.first_picture import FirstPicture, first_picture
from shared.image_content.jpeg import END
from shared.image_signatures import check_format

Pixels = NDArray[np.uint8]

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF")
#: Longest side of a picture, in pixels.
_MAX_SIDE = 20_000
#: Names of formats in Pillow where they differ from ours.
_PILLOW_NAMES = {"HEIC": "HEIF"}
#: Drawn as picture if any is missing, ignored if none is: no marker, and no code that repeats.
_NOISE = bytes(range(1, 255, 3))
#: Rows of the reduced picture produced at a time.
_BAND = 64
_THUMBNAIL_QUALITY = 75

_ORIENTATION_TAG = 0x0112
#: How to turn a picture by its EXIF orientation (CIPA DC-008, 4.6.4).
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_QUARTER_TURNS = (5, 6, 7, 8)

# Otherwise the first image in a rare format would make Pillow load all its plugins, forty-three of them.
for _plugin in ("Bmp", "Gif", "Jpeg", "Png", "Tiff", "WebP"):
    importlib.import_module(f"PIL.{_plugin}ImagePlugin")
# We check our own limit after reading the header, and again after decoding.
Image.MAX_IMAGE_PIXELS = None
# A decoder process has one core, and may not be allowed to start threads.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
# Damaged metadata does not matter, and one warning per picture would flood the terminal.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of an image: bytes of the file, pixels of the picture, whether TIFF and HEIC are accepted."""

    max_bytes: int = 20_000_000
    max_pixels: int = 64_000_000
    tiff: bool = False
    heic: bool = False

    @property
    def formats(self) -> tuple[str, ...]:
        """The accepted formats, as ``shared.image_signatures`` names them."""
        return (*_FORMATS, *(("TIFF",) if self.tiff else ()), *(("HEIC",) if self.heic else ()))


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image: ``pixels`` (side, side, 3) RGB; width and height as a viewer shows them."""

    pixels: Pixels
    width: int
    height: int
    format: str


#: ``decode``, or a function that runs it in another process.
Decode = Callable[[bytes, int, float, Limits], Picture]


def decode(data: bytes, side: int, crop: float, limits: Limits) -> Picture:
    """Return the centre square of an image, ``crop`` (0 to 1) of its short side, scaled to ``side`` pixels.

    Only the first frame of an animation is read, transparency becomes white, EXIF orientation is
    applied, colour profiles are ignored. Raises ``ItemError`` with one of the decoding codes.
    """
    _check_bytes(data, limits)
    kind = check_format(data, limits.formats)
    picture = first_picture(data, kind)
    with _translated(kind, picture), _opened(picture.data, kind) as image:
        size = image.size
        _check_pixels(size, limits)
        _check_complete(picture)
        if kind == "JPEG":
            # Reduced while decoding: three times faster at 12 megapixels.
            image.draft("RGB", (2 * round(side / crop), 2 * round(side / crop)))
        image.load()
        _check_pixels(image.size, limits)
        orientation = picture.orientation or image.getexif().get(_ORIENTATION_TAG, 1)
        square = _scale(_as_rgb_or_rgba(_shrunken(image, round(side / crop))), side, crop)
        width, height = reversed(size) if orientation in _QUARTER_TURNS else size
        pixels = np.asarray(_turn(_on_white(square), orientation))
        return Picture(pixels, width, height, kind)


def thumbnail(pixels: Pixels, side: int) -> bytes:
    """Return a square of pixels as a JPEG without metadata, shrunk to ``side`` pixels if it is larger."""
    image = Image.fromarray(pixels)
    if image.width > side:
        image = image.resize((side, side), Image.Resampling.BILINEAR)
    content = BytesIO()
    image.save(content, "JPEG", quality=_THUMBNAIL_QUALITY)
    return content.getvalue()


def _check_bytes(data: bytes, limits: Limits) -> None:
    if not data:
        raise ItemError(Code.EMPTY_FILE)
    if len(data) > limits.max_bytes:
        raise ItemError(Code.TOO_MANY_BYTES, f"{len(data)} bytes, the limit is {limits.max_bytes}")


def _opened(data: bytes, kind: str) -> Image.Image:
    """Open a file as this format and no other."""
    if kind == "HEIC":
        _register_heic()
    return Image.open(BytesIO(data), formats=(_PILLOW_NAMES.get(kind, kind),))


@cache
def _register_heic() -> None:
    import pi_heif

    pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)


@contextmanager
def _translated(kind: str, picture: FirstPicture) -> Iterator[None]:
    """Translate everything that Pillow raises into an ``ItemError``.

    Hostile files have made it raise OSError, ValueError, TypeError, IndexError, SyntaxError and
    struct.error, so no list of types is complete.
    """
    try:
        yield
    except ItemError:
        raise
    except MemoryError as error:
        raise ItemError(Code.OUT_OF_MEMORY) from error
    except Exception as error:
        if picture.unusual:
            raise ItemError(Code.UNSUPPORTED_FORMAT, picture.unusual) from error
        unidentified = isinstance(error, UnidentifiedImageError)
        detail = f"a {kind} header without usable content" if unidentified else str(error)
        raise ItemError(_decoding_code(error), detail) from error


def _decoding_code(error: Exception) -> Code:
    truncated = "truncated" in str(error).lower() or isinstance(error, EOFError)
    return Code.IMAGE_TRUNCATED if truncated else Code.IMAGE_CORRUPT


def _check_pixels(size: tuple[int, int], limits: Limits) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ItemError(Code.IMAGE_CORRUPT, f"{width} x {height} pixels")
    if width * height > limits.max_pixels or max(size) > _MAX_SIDE:
        limit = f"{limits.max_pixels} in total and {_MAX_SIDE} per side"
        raise ItemError(Code.TOO_MANY_PIXELS, f"{width} x {height}, the limit is {limit}")


def _check_complete(picture: FirstPicture) -> None:
    """Raise ``ItemError(image_truncated)`` if rows are missing from a picture whose end is not marked.

    What stands behind the last row changes nothing; what stands in place of a row changes its pixels.
    """
    if picture.complete is False or (
        picture.complete is None
        and _digest(picture.data) != _digest(picture.data[: -len(END)] + _NOISE + END)
    ):
        raise ItemError(Code.IMAGE_TRUNCATED, "its last rows are missing")


def _digest(jpeg: bytes) -> bytes:
    with _opened(jpeg, "JPEG") as image:
        return blake2b(image.tobytes()).digest()


def _shrunken(image: Image.Image, target: int) -> Image.Image:
    """Reduce a large picture to about twice the target in bands, without a full copy."""
    factor = min(image.size) // (2 * target)
    if factor < 2:
        return image
    if image.mode in ("I", "F"):
        return image.reduce(factor)  # their range depends on the whole picture
    width, height = image.size
    bands = [
        _as_rgb_or_rgba(image.crop((0, top, width, min(top + _BAND * factor, height)))).reduce(factor)
        for top in range(0, height, _BAND * factor)
    ]
    return _stacked(bands)


def _stacked(bands: list[Image.Image]) -> Image.Image:
    whole = Image.new(bands[0].mode, (bands[0].width, sum(band.height for band in bands)))
    top = 0
    for band in bands:
        whole.paste(band, (0, top))
        top += band.height
    return whole


def _as_rgb_or_rgba(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return _grey(_sixteen_bit_grey(image))
    if image.mode in ("I", "F"):
        return _grey(_stretched_grey(image))
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _grey(values: Pixels) -> Image.Image:
    return Image.fromarray(values).convert("RGB")


def _sixteen_bit_grey(image: Image.Image) -> Pixels:
    # Pillow's own conversion clips every value above 255 to white.
    return (np.asarray(image) >> 8).astype(np.uint8)


def _stretched_grey(image: Image.Image) -> Pixels:
    """Map the actual range of 32-bit values to black to white: there is no standard range."""
    values = np.nan_to_num(np.asarray(image, np.float32), posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    return ((values - low) * (255 / ((high - low) or 1))).astype(np.uint8)


def _scale(image: Image.Image, side: int, crop: float) -> Image.Image:
    width, height = image.size
    edge = min(width, height) * crop
    left, upper = (width - edge) / 2, (height - edge) / 2
    box = (left, upper, left + edge, upper + edge)
    return image.resize((side, side), Image.Resampling.BICUBIC, box=box)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _turn(square: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS.get(orientation)
    return square if turn is None else square.transpose(turn)
