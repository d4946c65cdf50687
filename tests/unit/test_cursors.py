"""Cursors: what was given out comes back, and nothing else is taken."""

import pytest

from results_api.cursors import decode_cursor, encode_cursor
from shared.errors import Code, RequestError


@pytest.mark.parametrize("numbers", [(0,), (7, 0), (2**63 - 1, 2**62, 3), (-1,)])
def test_a_cursor_holds_its_numbers(numbers: tuple[int, ...]) -> None:
    cursor = encode_cursor(*numbers)
    assert decode_cursor(cursor, len(numbers)) == numbers
    assert cursor.replace("-", "").replace("_", "").isalnum(), "it has to be quoted in a URL"


_GOOD = encode_cursor(7, 3)


@pytest.mark.parametrize(
    "text",
    [
        *("", "A", "é", "[7, 3]", "\0" * 22, "A" * 100_000),
        *(_GOOD[:-1], f"{_GOOD}A", f"{_GOOD}==", f"{_GOOD[:5]}!{_GOOD[5:]}"),
        *(encode_cursor(7), encode_cursor(7, 3, 1)),
        f"{_GOOD[:-1]}{chr(ord(_GOOD[-1]) + 1)}",  # bits that are not used
    ],
)
def test_what_was_never_given_out_is_refused(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_cursor(text, 2)
    assert caught.value.code is Code.CURSOR_INVALID
