"""HEIC, which is accepted only where a setting says so."""

import base64
import random

import numpy as np
import pytest

from shared.errors import Code, ItemError
from shared.images import Limits, Picture, decode

#: 64 x 32 pixels, red on the left and blue on the right; made by libheif 1.23 with x265.
HALVES = base64.b64decode(
    b"AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAX1tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAA"
    b"AAAAACJpbG9jAAAAAERAAAEAAQAAAAABoQABAAAAAAAAAI4AAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAA"
    b"AA5waXRtAAAAAAABAAAA/WlwcnAAAADdaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNw"
    b"AAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFz"
    b"wIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAAEAAAAABAAAAIAAAAAEAAAAAAAAA"
    b"Av///+AAAAACAAAAEHBpeGkAAAAAAwgICAAAABhpcG1hAAAAAAAAAAEAAQWBAgMFhAAAAJZtZGF0AAAAiigBrwT4cWTTt/+T"
    b"D///+V67sv8mG33yD/TAaUv+oxL//9zbL2nLXmoB8VJck8+JwSlsTnErkp5MQegyFKb9uVNRBVGbPetOyjImshUYW0l4Kq2R"
    b"RL2UBT1uJvnLLXwbns1NZVcVyO1eWf0bp/9mE94vMJTdym79VqFaUiMv+iTWvDWDox4OQAjZ4A=="
)
#: The same, turned by a quarter, with EXIF that says so, too.
TURNED = base64.b64decode(
    b"AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAchtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAA"
    b"AAAAADRpbG9jAAAAAERAAAIAAQAAAAAB7AABAAAAAAAAAI4AAgAAAAACegABAAAAAAAAACQAAAA4aWluZgAAAAAAAgAAABVp"
    b"bmZlAgAAAAABAABodmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAABB2lwcnAAAADmaXBjbwAAAHZo"
    b"dmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAA"
    b"AwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAA"
    b"AAAAQAAAAEAAAAAoY2xhcAAAAEAAAAABAAAAIAAAAAEAAAAAAAAAAv///+AAAAACAAAAEHBpeGkAAAAAAwgICAAAAAlpcm90"
    b"AwAAABlpcG1hAAAAAAAAAAEAAQaBAgMFhIYAAAAaaXJlZgAAAAAAAAAOY2RzYwACAAEAAQAAALptZGF0AAAAiigBrwT4cWTT"
    b"t/+TD///+V67sv8mG33yD/TAaUv+oxL//9zbL2nLXmoB8VJck8+JwSlsTnErkp5MQegyFKb9uVNRBVGbPetOyjImshUYW0l4"
    b"Kq2RRL2UBT1uJvnLLXwbns1NZVcVyO1eWf0bp/9mE94vMJTdym79VqFaUiMv+iTWvDWDox4OQAjZ4AAAAAZFeGlmAABNTQAq"
    b"AAAACAABARIAAwAAAAEABgAAAAAAAA=="
)
_HEIC = Limits(heic=True)


def _decode(data: bytes, limits: Limits = _HEIC) -> Picture:
    return decode(data, 16, 1.0, limits)


def _code(data: bytes, limits: Limits = _HEIC) -> Code:
    with pytest.raises(ItemError) as caught:
        _decode(data, limits)
    return caught.value.code


def test_heic_only_where_the_setting_allows_it() -> None:
    assert _code(HALVES, Limits()) is Code.UNSUPPORTED_FORMAT
    picture = _decode(HALVES)
    assert (picture.format, picture.width, picture.height) == ("HEIC", 64, 32)
    assert picture.pixels[8, 2, 0] > 200 > 60 > picture.pixels[8, 2, 2]
    assert picture.pixels[8, 13, 2] > 200 > 60 > picture.pixels[8, 13, 0]


@pytest.mark.parametrize("brand", [b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"miaf", b"MiHB"])
def test_any_brand_will_do(brand: bytes) -> None:
    assert (_decode(HALVES[:8] + brand + HALVES[12:]).pixels == _decode(HALVES).pixels).all()


def test_a_turned_picture_is_turned_once() -> None:
    picture = _decode(TURNED)
    assert (picture.width, picture.height) == (32, 64)
    assert picture.pixels[2, 8, 0] > 200
    assert picture.pixels[13, 8, 2] > 200


def test_side_data_decides_nothing() -> None:
    at = TURNED.rindex(b"Exif\0\0") + 6
    damaged = TURNED[:at] + b"\xff" * 12 + TURNED[at + 12 :]
    for data in (damaged, TURNED + b"PK\x03\x04" + bytes(300)):
        assert (_decode(data).pixels == _decode(TURNED).pixels).all()


def test_limits_hold() -> None:
    assert _code(HALVES, Limits(heic=True, max_pixels=64 * 32 - 1)) is Code.TOO_MANY_PIXELS


def test_cut_short_or_changed_anywhere_it_ends_as_a_code_or_a_picture() -> None:
    rng = random.Random(16)
    for length in range(0, len(HALVES) - 20, 7):
        assert _code(HALVES[:length]) in (
            *(Code.EMPTY_FILE, Code.NOT_AN_IMAGE, Code.UNSUPPORTED_FORMAT),
            *(Code.IMAGE_CORRUPT, Code.IMAGE_TRUNCATED),
        ), length
    for _ in range(300):
        data = bytearray(HALVES)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(12, len(data))] = rng.randrange(256)
        try:
            picture = _decode(bytes(data))
        except ItemError:
            continue
        assert picture.pixels.shape == (16, 16, 3)
        assert picture.pixels.dtype == np.uint8
