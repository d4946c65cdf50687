"""API keys: their form, what is stored of them, their scopes, and the caller that a key stands for."""

import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass
from enum import StrEnum

#: By this prefix, secret scanners find the keys.
_PREFIX = "ss_live_"
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
#: 33 digits in base 62 are 196 random bits, and 6 hold any CRC-32.
_RANDOM, _CHECKSUM = 33, 6
_FORM = re.compile(f"{_PREFIX}[0-9A-Za-z]{{{_RANDOM + _CHECKSUM}}}")
#: How many of its last characters are stored, for people to recognise a key.
_ENDING = 4


class Scope(StrEnum):
    """What a key allows; ``admin`` includes all others, and the jobs of other keys."""

    CLASSIFY = "classify"
    SUBMIT = "submit"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request: the key it came with, or anybody where no key is required.

    ``images_per_day`` and ``open_jobs`` are the key's quotas, None where it has none.
    """

    key_id: int | None
    scopes: frozenset[Scope]
    images_per_day: int | None = None
    open_jobs: int | None = None

    @property
    def sees_all(self) -> bool:
        """Whether the jobs of other keys are visible, too."""
        return Scope.ADMIN in self.scopes


#: The caller where no key is required.
ANYBODY = Caller(None, frozenset(Scope))


def make_key() -> str:
    """Return a new key.

    Its form is that of GitHub's tokens (https://github.blog, "Behind GitHub's new authentication token
    formats", 2021): a prefix, random digits in base 62, and the CRC-32 of both.
    """
    body = _PREFIX + "".join(secrets.choice(_DIGITS) for _ in range(_RANDOM))
    return body + _checksum(body)


def is_well_formed(text: str) -> bool:
    """Tell whether a text can be a key: a mistyped one is refused without asking the store."""
    return bool(_FORM.fullmatch(text)) and text[-_CHECKSUM:] == _checksum(text[:-_CHECKSUM])


def digest_of(key: str) -> bytes:
    """Return what is stored of a key, its SHA-256: a key is too random to be guessed from it."""
    return hashlib.sha256(key.encode()).digest()


def ending_of(key: str) -> str:
    """Return the last characters of a key."""
    return key[-_ENDING:]


def _checksum(body: str) -> str:
    """Return the CRC-32 of a text in base 62, padded with zeros."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
