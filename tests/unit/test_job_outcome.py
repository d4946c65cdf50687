"""The outcome of a job: one word and one tone for pages, report and commands."""

import io
import json
import re
from pathlib import Path

import pytest

from commands import terminal
from commands.jobs import describe
from results_api.service.job_models import JOB
from results_api.service.pages.jobs import progress_bar
from shared.items import ItemState, JobState
from shared.job_outcome import OUTCOME_WORDS, JobOutcome, Tone, outcome_of
from shared.job_status import JobStatus

_PAGES = Path(__file__).parents[2] / "results_api"


def _status(state: str, **counts: int) -> JobStatus:
    done = sum(counts.values())
    return JobStatus.from_json(JOB | {"state": state, "submitted": done, "done": done, "counts": counts})


@pytest.mark.parametrize(
    ("counts", "word", "tone"),
    [
        ({"succeeded": 500}, "completed", Tone.GOOD),
        ({"succeeded": 499, "failed": 1}, "completed", Tone.MIXED),
        ({"succeeded": 499, "skipped": 1}, "completed", Tone.MIXED),
        ({"failed": 500}, "all failed", Tone.BAD),
        ({"skipped": 500}, "all skipped", Tone.MIXED),
        ({"skipped": 499, "failed": 1}, "none labelled", Tone.BAD),
        ({}, "completed", Tone.GOOD),
    ],
)
def test_a_completed_job_stands_as_its_images_came_out(counts: dict[str, int], word: str, tone: Tone) -> None:
    assert _status("completed", **counts).outcome == JobOutcome(word, tone)


@pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.COMPLETED])
def test_any_other_job_stands_by_its_state_and_never_in_green(state: JobState) -> None:
    outcome = outcome_of(state, {ItemState.SUCCEEDED: 5, ItemState.FAILED: 5})
    assert outcome.word == state
    assert outcome.tone is not Tone.GOOD


def test_every_outcome_has_its_word_on_the_pages_and_every_tone_its_colour() -> None:
    texts = json.loads((_PAGES / "service/pages/texts/en.json").read_text())
    assert {word: word.capitalize() for word in OUTCOME_WORDS} == texts["job"]["outcomes"]
    palette = (_PAGES / "static/palette.css").read_text()
    toned = set(re.findall(r"\.([a-z]+)(?:, \.[a-z]+)* { --tone: var", palette))
    assert toned >= {*map(str, Tone)}
    assert "--tone:" not in (_PAGES / "static/jobs.css").read_text(), "a second palette"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_the_tone_of_an_outcome_and_a_pipe_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert terminal.painted("all failed", Tone.BAD, _Terminal()) == "\x1b[31mall failed\x1b[0m"
    assert terminal.painted("all failed", Tone.BAD, io.StringIO()) == "all failed"
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.painted("all failed", Tone.BAD, _Terminal()) == "all failed"


def test_the_command_line_says_what_came_out() -> None:
    assert "state      completed: all failed" in list(describe(_status("completed", failed=500), ""))
    assert "state      completed" in list(describe(_status("completed", succeeded=1, failed=499), ""))


def test_a_progress_bar_shows_how_the_images_came_out() -> None:
    bar = progress_bar(JobStatus.from_json(JOB | {"submitted": 1000, "done": 250}))
    assert [(part.state, part.x, part.width) for part in bar] == [("succeeded", 0, 24), ("failed", 24, 1)]
    assert progress_bar(JobStatus.from_json(JOB | {"submitted": 0, "done": 0, "counts": {}})) == ()
