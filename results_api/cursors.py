"""Cursors: where a list goes on, as words that mean nothing to whoever keeps them."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import b2a_base64
from typing import TYPE_CHECKING

from shared.errors import Code, RequestError

if TYPE_CHECKING:
    import polars

_NUMBERS = re.compile(rb"[0-9]{1,19}(,[0-9]{1,19})*")
#: The largest number that both databases take.
_MAX = 2**63 - 1


def encode_cursor(*numbers: int) -> str:
    """Return a cursor that stands for these numbers, none below zero."""
    # Digits and commas never come to what makes base64 unsafe in a URL.
    return b2a_base64(",".join(map(str, numbers)).encode(), newline=False).decode().rstrip("=")


def decode_cursor(text: str, count: int) -> tuple[int, ...]:
    """Return the so many numbers that a cursor stands for, or raise ``RequestError(cursor_invalid)``."""
    numbers = _numbers(text)
    # What decodes to the same numbers but is written otherwise was not given out here.
    if len(numbers) != count or max(numbers) > _MAX or encode_cursor(*numbers) != text:
        raise RequestError(Code.CURSOR_INVALID, text)
    return numbers


def encode_text_cursor(text: str) -> str:
    """Return a cursor that stands for a text."""
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_text_cursor(cursor: str) -> str:
    """Return the text that a cursor stands for, or raise ``RequestError(cursor_invalid)``."""
    try:
        text = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode()
    except ValueError:
        raise RequestError(Code.CURSOR_INVALID, cursor) from None
    if encode_text_cursor(text) != cursor:
        raise RequestError(Code.CURSOR_INVALID, cursor)
    return text


def _numbers(text: str) -> tuple[int, ...]:
    try:
        written = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError:
        return ()
    return tuple(map(int, written.split(b","))) if _NUMBERS.fullmatch(written) else ()


def cursors_of(column: str) -> "polars.Expr":
    """Return the cursors that stand for the numbers of a column, as ``encode_cursor`` has them."""
    import polars as pl

    return pl.col(column).cast(pl.String).str.encode("base64").str.strip_chars_end("=")
