"""What is said of what is left of a job, by every surface in the same words."""

import io
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from commands.progress import Bar, GiveUpOffer, PlainLines
from results_api.service.job_models import JOB
from shared.items import ItemState
from shared.job_status import JobStatus
from shared.time_left import RetryGroup, TimeLeft, Waiting, how_to_give_up, in_short, sentences

_NOW = datetime(2026, 11, 30, 12, 34, tzinfo=UTC)
_SOON = datetime(2026, 11, 30, 12, 51, tzinfo=UTC)
_END = datetime(2026, 11, 30, 13, 7, 30, tzinfo=UTC)
_GROUP = RetryGroup("x.example", "http_5xx", 250, _SOON)
_WAITING = Waiting(250, True, _SOON, _END, (_GROUP,))
_LEFT = TimeLeft(1250, 40.0, 25.0, knows_hosts=False)
_WAITS = "250 images wait for another try at 12:51 UTC (http_5xx, x.example)"


def _said(left: TimeLeft, is_running: bool = True) -> list[str]:
    return list(sentences(left, _NOW, is_running))


def test_what_moves_takes_as_long_as_its_rate_says() -> None:
    assert _said(_LEFT) == ["About 25 s left for 1,250 images at 40 images/s."]
    assert in_short(_LEFT, _NOW) == "about 25 s left"


def test_what_waits_is_told_with_its_cause_its_next_try_and_its_end() -> None:
    left = replace(_LEFT, items=250, seconds=None, waiting=_WAITING)
    assert left.moving == 0
    assert _said(left) == [
        f"{_WAITS}.",
        "If that fails again and again, the last of them ends by 13:08 UTC.",
    ]
    assert in_short(left, _NOW) == _WAITS


def test_what_moves_and_what_waits_are_told_apart() -> None:
    left = replace(_LEFT, waiting=_WAITING)
    assert _said(left)[:2] == ["About 25 s left for 1,000 images at 40 images/s.", f"{_WAITS}."]
    assert in_short(left, _NOW) == f"about 25 s left, {_WAITS}"


def test_several_causes_are_named_the_largest_first() -> None:
    groups = tuple(RetryGroup(f"{name}.example", "dns_failed", 50, _SOON) for name in "abcd")
    left = replace(_LEFT, items=200, waiting=Waiting(200, True, _SOON, None, groups))
    assert _said(left) == [
        "200 images wait for another try from 12:51 UTC on: 50 (dns_failed, a.example), "
        "50 (dns_failed, b.example), 50 (dns_failed, c.example), 50 more."
    ]
    more = Waiting(10_000, False, _SOON, None, (replace(_GROUP, count=10_000),))
    assert in_short(replace(_LEFT, items=10_000, waiting=more), _NOW).startswith(
        "more than 10,000 images wait"
    )


def test_a_near_try_is_told_to_the_second_and_one_of_another_day_with_its_date() -> None:
    for time, word in (
        (_NOW + timedelta(seconds=61), "12:35:01 UTC"),
        (_NOW + timedelta(days=1), "1 Dec 12:34 UTC"),
    ):
        waiting = Waiting(1, True, time, None, (replace(_GROUP, count=1, next_at=time),))
        assert f"1 image waits for another try at {word} (" in in_short(replace(_LEFT, waiting=waiting), _NOW)


def test_only_where_no_worker_was_seen_people_are_asked_for_one() -> None:
    alone = replace(_LEFT, has_worker=False)
    asked = "No worker was seen in the last minute, and 1,250 images are left: is one running?"
    assert _said(alone) == [asked]
    assert in_short(alone, _NOW) == "no worker was seen in the last minute"
    assert _said(replace(alone, waiting=_WAITING))[:2] == [asked, f"{_WAITS}."]
    assert _said(alone, is_running=False) == [
        "Once it is resumed, about 25 s left for 1,250 images at 40 images/s."
    ]


def test_a_paused_job_waits_for_people_only() -> None:
    assert _said(replace(_LEFT, items=250, waiting=_WAITING), is_running=False) == []


def test_words_of_strangers_do_not_control_the_terminal() -> None:
    hostile = Waiting(1, True, _SOON, None, (RetryGroup("a\x1b[2J", "\n", 1, _SOON),))
    assert in_short(replace(_LEFT, waiting=hostile), _NOW).isprintable()


def _status() -> JobStatus:
    counts = {"succeeded": 740, "failed": 10}
    waiting = {"waiting": _WAITING.as_json(), "seconds_left": None, "rate": 0.0}
    return JobStatus.from_json(JOB | {"submitted": 1000, "done": 750, "counts": counts} | waiting)


def test_a_status_knows_what_waits_after_it_was_sent() -> None:
    status = _status()
    assert status.waiting == _WAITING
    assert JobStatus.from_json(status.as_json()) == status
    left = status.time_left
    assert left is not None
    assert (left.items, left.moving, left.waiting) == (250, 0, _WAITING)
    older = JobStatus.from_json({name: JOB[name] for name in JOB if name not in ("waiting", "has_worker")})
    assert (older.waiting, older.has_worker) == (None, True)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_does_not_invent_a_time_while_images_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "200")
    status, bar = _status(), Bar(1000, 0)
    bar.update(status.ended, 1000, status.time_left)
    bar.close()
    last = [line for line in terminal.getvalue().split("\r") if "wait for another try" in line][-1]
    assert " 75%" in last
    assert "250 images wait for another try at " in last
    assert "(http_5xx, x.example)" in last
    assert "<" not in last, "the time left by tqdm"


def test_a_plain_line_says_the_same() -> None:
    counts = {ItemState.SUCCEEDED: 750}
    line = PlainLines(1000, 0).line(counts, 10, _status().time_left)
    assert line.startswith(
        "750 of 1000 images (750 succeeded), 75.0 images/s, 250 images wait for another try"
    )


def test_giving_up_is_offered_once_and_only_when_all_that_is_left_waits(
    capsys: pytest.CaptureFixture[str],
) -> None:
    offer, progress, left = GiveUpOffer(12, " --api"), PlainLines(1000, 0), _status().time_left
    assert left is not None
    for one in (None, replace(left, items=251), replace(left, waiting=None)):
        offer.update(one, progress)
    assert capsys.readouterr().err == ""
    for _ in range(2):
        offer.update(left, progress)
    assert capsys.readouterr().err == f"{how_to_give_up(12, ' --api')}\n"
    assert "`smartsight give-up 12 --api`" in how_to_give_up(12, " --api")
