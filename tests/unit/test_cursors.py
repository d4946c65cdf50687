"""Cursors: what was given out comes back, and nothing else is taken."""

from base64 import urlsafe_b64encode

import pytest

from results_api.cursors import decode_cursor, encode_cursor
from shared.errors import Code, RequestError


@pytest.mark.parametrize("numbers", [(0,), (7,), (2**63 - 1,), (1, 2), (999_999, 0, 5)])
def test_a_cursor_stands_for_its_numbers(numbers: tuple[int, ...]) -> None:
    cursor = encode_cursor(*numbers)
    assert decode_cursor(cursor, len(numbers)) == numbers
    assert cursor.isalnum()


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "=", "MQ==", "M Q", "MR", "é", "\ud800"),
        *(
            urlsafe_b64encode(word).decode().rstrip("=")
            for word in (b"-1", b"1,", b"01", b"a", b"1.5", b"1,2")
        ),
        encode_cursor(2**63),
    ],
)
def test_what_was_not_given_out_is_refused(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_cursor(text, 1)
    assert caught.value.code is Code.CURSOR_INVALID
