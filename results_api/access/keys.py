"""Keys as texts: what they look like, how a new one is made, and what of them is kept."""

import hashlib
import re
import secrets
import string
import zlib

#: What secret scanners know the keys by.
_PREFIX = "ss_live_"
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
#: 33 digits in base 62 are 196 random bits, and 6 hold any CRC-32.
_RANDOM, _CHECK = 33, 6
_FORM = re.compile(f"{_PREFIX}[0-9A-Za-z]{{{_RANDOM + _CHECK}}}")
#: How many of its last characters are kept, to know a key again by.
_ENDING = 4


def make_key() -> str:
    """Return a new key.

    Its form is that of GitHub's tokens (https://github.blog, "Behind GitHub's new authentication token
    formats", 2021): a prefix, random digits in base 62, and the CRC-32 of both.
    """
    body = _PREFIX + "".join(secrets.choice(_DIGITS) for _ in range(_RANDOM))
    return body + _check_of(body)


def is_well_formed(text: str) -> bool:
    """Tell whether a text can be a key: what was mistyped or cut off is told without the database."""
    return bool(_FORM.fullmatch(text)) and text[-_CHECK:] == _check_of(text[:-_CHECK])


def digest_of(key: str) -> bytes:
    """Return what is kept of a key, its SHA-256: a key is too random to be guessed from it."""
    return hashlib.sha256(key.encode()).digest()


def ending_of(key: str) -> str:
    """Return the last characters of a key."""
    return key[-_ENDING:]


def _check_of(body: str) -> str:
    """Return the CRC-32 of a text in base 62, padded with zeros."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECK):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
