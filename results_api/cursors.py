"""Cursors: where a page ends, in a form that nobody has to understand."""

import base64
import struct

from shared.errors import Code, RequestError


def encode_cursor(*numbers: int) -> str:
    """Return a cursor that holds these numbers, of 64 bits each."""
    packed = struct.pack(f">{len(numbers)}q", *numbers)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode_cursor(text: str, count: int) -> tuple[int, ...]:
    """Return the numbers of a cursor, so many of them; raise ``RequestError(cursor_invalid)`` for others."""
    try:
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        numbers: tuple[int, ...] = struct.unpack(f">{count}q", packed)
    except (ValueError, struct.error):
        raise RequestError(Code.CURSOR_INVALID) from None
    # Characters that mean nothing are passed over by the decoder.
    if encode_cursor(*numbers) != text:
        raise RequestError(Code.CURSOR_INVALID)
    return numbers
