"""The pages of ``docs/`` that are generated from several parts of the code."""

from pathlib import Path

import pytest

from shared.errors import SKIPPED, Code, state_of
from tools.pages import pages

_DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", list(pages()))
def test_they_are_up_to_date(name: str) -> None:
    assert (_DOCS / name).read_text("utf-8") == pages()[name], "run `make docs`"


def test_the_state_of_an_item_follows_from_its_code() -> None:
    states = {code: state_of(code) for code in Code}
    assert {code for code, state in states.items() if state == "skipped"} == set(SKIPPED)
    assert (states[Code.HTTP_404], states[Code.WORKER_CRASHED], states[Code.JOB_UNKNOWN]) == (
        "failed",
        "failed",
        "",
    )
