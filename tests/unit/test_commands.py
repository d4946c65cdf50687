"""What commands show: progress, summary and lines."""

import argparse

import pytest

from commands.progress import PlainLines, all_succeeded, summary
from commands.terminal import line_of
from shared.errors import Code
from shared.items import ItemState
from shared.store.store import Tally
from smartsight import build_parser

_TALLIES = [
    Tally(ItemState.SUCCEEDED, None, 90),
    Tally(ItemState.FAILED, Code.HTTP_404, 3),
    Tally(ItemState.FAILED, Code.EMPTY_FILE, 7),
]


def test_the_summary_counts_states_and_explains_codes_commonest_first() -> None:
    assert list(summary(_TALLIES, done_now=50, seconds=10)) == [
        "100 images: 90 succeeded, 10 failed; 50 in 10.0 s, 5.0 images/s",
        "         7 empty_file: The file is empty.",
        "         3 http_404: The host has nothing at this URL (HTTP 404).",
    ]


def test_only_success_everywhere_is_success() -> None:
    assert all_succeeded(_TALLIES[:1])
    assert not all_succeeded(_TALLIES)


def test_a_plain_line_tells_rate_and_time_left_of_this_run() -> None:
    lines = PlainLines(total=200, done_before=50)
    assert lines.line(_TALLIES, seconds=10) == (
        "100 of 200 images (90 succeeded, 10 failed), 5.0 images/s, 20 s left"
    )
    assert PlainLines(200, 0).line([], 10).endswith("0.0 images/s, time left unknown")


def test_a_line_is_for_people() -> None:
    best = {"class": "espresso", "wordnet_id": "n1", "score": 0.951234}
    assert line_of({"ref": "a.jpg", "predictions": [best]}).split() == ["a.jpg", "0.951", "espresso"]
    failed = {"ref": "b.jpg", "predictions": [], "state": "failed", "code": "empty_file", "message": "Empty."}
    assert line_of(failed).split(maxsplit=1) == ["b.jpg", "failed  empty_file: Empty."]


def test_every_option_has_a_help_text() -> None:
    waiting: list[argparse.ArgumentParser] = [build_parser()]
    while waiting:
        for action in waiting.pop()._actions:
            if isinstance(action, argparse._SubParsersAction):
                waiting += action.choices.values()
            else:
                assert action.help, action


@pytest.mark.parametrize("command", ["", "classify", "label", "model", "model import"])
def test_help_is_printed(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args([*command.split(), "--help"])
    assert ended.value.code == 0
    assert "usage: smartsight" in capsys.readouterr().out
