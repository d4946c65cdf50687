import pytest

from results_api.classes import class_ids_of
from shared.errors import Code, RequestError

_LABELS = [
    ("n07873807", "pizza, pizza pie"),
    ("n02123045", "tabby, tabby cat"),
    ("n02127052", "lynx, catamount"),
    ("n02123159", "tiger cat"),
    ("n9", "Boeing 747 (C++)"),
]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("n07873807", (0,)),
        ("3", (3,)),
        ("pizza", (0,)),
        ("PIZZA  Pie", (0,)),
        ("cat", (1, 3)),
        ("tiger cat", (3,)),
        ("747", (4,)),
        ("(c++)", (4,)),
    ],
)
def test_a_class_is_found_by_id_number_and_word(text: str, ids: tuple[int, ...]) -> None:
    assert class_ids_of(text, _LABELS) == ids


@pytest.mark.parametrize("text", ["izza", "5", "", " ", ".*", "cat,", "99999999999999999999", "²", "\x00"])
def test_what_names_no_class_is_refused(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        class_ids_of(text, _LABELS)
    assert caught.value.code is Code.CLASS_UNKNOWN
