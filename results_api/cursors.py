"""Where a list goes on: opaque to whoever hands it back, and checked."""

import base64
import binascii
import re

from shared.errors import Code, RequestError

_NUMBERS = re.compile(r"-?[0-9]{1,19}(?:,-?[0-9]{1,19})*")


def encode_cursor(*numbers: int) -> str:
    """Return the cursor that stands for these numbers."""
    text = ",".join(map(str, numbers))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode_cursor(text: str, count: int) -> tuple[int, ...]:
    """Return the numbers of a cursor that has so many; raise ``RequestError(cursor_invalid)``."""
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (ValueError, binascii.Error) as error:
        raise RequestError(Code.CURSOR_INVALID) from error
    if not _NUMBERS.fullmatch(plain) or plain.count(",") != count - 1:
        raise RequestError(Code.CURSOR_INVALID)
    numbers = tuple(map(int, plain.split(",")))
    if any(abs(number) >= 2**63 for number in numbers):
        raise RequestError(Code.CURSOR_INVALID)
    return numbers
