"""Where a page of a list ends, in a form that nobody has to understand: opaque, and checked."""

import base64
import re

from shared.errors import Code, RequestError

_NUMBERS = re.compile(r"-?[0-9]{1,19}(?:,-?[0-9]{1,19})*")
_TOO_LARGE = 2**63


def encode_cursor(*numbers: int) -> str:
    """Return a cursor that holds these numbers, each of 64 bits at most."""
    text = ",".join(map(str, numbers))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(text: str, count: int) -> tuple[int, ...]:
    """Return the numbers of a cursor, so many of them; raise ``RequestError(cursor_invalid)`` for others."""
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
        numbers = tuple(map(int, plain.split(","))) if _NUMBERS.fullmatch(plain) else ()
    except ValueError:
        raise RequestError(Code.CURSOR_INVALID) from None
    # The decoder passes over what means nothing, and there is more than one way to write a number.
    if encode_cursor(*numbers) != text or len(numbers) != count or max(map(abs, numbers)) >= _TOO_LARGE:
        raise RequestError(Code.CURSOR_INVALID)
    return numbers
