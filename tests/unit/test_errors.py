import pickle
import re

import pytest

from shared.errors import Code, ItemError, ResourceError


@pytest.mark.parametrize("code", list(Code))
def test_each_code_is_snake_case_and_has_one_sentence(code: Code) -> None:
    assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", code)
    assert re.fullmatch(r"[A-Z].*\.", code.sentence)


def test_the_message_is_the_sentence_and_the_detail() -> None:
    assert str(ItemError(Code.EMPTY_FILE)) == "The file is empty."
    assert str(ItemError(Code.UNSUPPORTED_FORMAT, "HEIC")).endswith("accepted. (HEIC)")


def test_an_error_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(ResourceError(Code.MODEL_BROKEN, "here")))
    assert (type(error), error.code, error.detail) == (ResourceError, Code.MODEL_BROKEN, "here")
