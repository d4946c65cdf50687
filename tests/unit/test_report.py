"""What a report says: sentences, time left, and a page that bears every word of a stranger."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest

from results_api.report.page import rate_ticks, render, tick_labels, time_ticks, timeline_chart
from results_api.report.report import TimelineStep, make_report
from results_api.report.sentences import sentences
from results_api.report.time_left import estimate, present_rate, time_left
from shared.errors import Code
from shared.items import ItemState, JobState
from shared.store.store import Job, RecordedModel
from shared.store.summaries import (
    RECENT,
    Cause,
    ClassCount,
    Classes,
    Ending,
    HostLoad,
    ProgressBin,
    SlowHost,
    Summary,
)
from shared.time_left import RetryGroup, TimeLeft, Waiting
from shared.words import duration, pace, rate, share, size

_NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_HOSTILE = "<script>alert(1)</script>&\"'"
_MODEL = RecordedModel(1, "lite0", "1", [("n1", "cat"), ("n2", _HOSTILE), ("n3", "$\\frac{a}$")])


def _job(**changes: Any) -> Job:
    created = _NOW - timedelta(hours=1)
    job = Job(7, None, JobState.RUNNING, "", True, 1, 5000, "", 5000, None, created, None)
    return replace(job, **changes)


def _ending(state: ItemState, code: Code | None, count: int, hosts: int = 1, **changes: Any) -> Ending:
    first, last = _NOW - timedelta(minutes=50), _NOW - timedelta(seconds=1)
    return replace(Ending(state, code, count, hosts, 0, 0, 0, 0.0, 0, first, last), **changes)


def _load(host: str, left: int, delay: float = 1.0, closed_for: float = 0.0) -> HostLoad:
    return HostLoad(host, left, left, delay, closed_for, None, False, closed_for + left * delay)


def _summary(*endings: Ending, job: Job | None = None, **changes: Any) -> Summary:
    empty = Summary(_NOW, job or _job(), endings, (), (), (), Classes(), 60, ())
    return replace(empty, **changes)


def _said(summary: Summary) -> list[str]:
    return list(sentences(summary, time_left(summary)))


_DONE = _job(state=JobState.COMPLETED, finished_at=_NOW)
_GOOD = _ending(ItemState.SUCCEEDED, None, 4588)
_LIMITED = _ending(ItemState.FAILED, Code.RATE_LIMITED, 412)
_FLICKR = Cause(ItemState.FAILED, Code.RATE_LIMITED, "flickr.com", 412, "http://flickr.com/1.jpg", "")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.2, "1 s"),
        (12.4, "12 s"),
        (59.9, "1 min"),
        (60, "1 min"),
        (2400, "40 min"),
        (3599, "1 h"),
        (11_400, "3 h 10 min"),
        (86_399, "1 d"),
        (187_200, "2 d 4 h"),
        (864_000, "10 d"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_share_is_neither_none_nor_all_if_it_is_not() -> None:
    assert [share(part, 10_000) for part in (0, 1, 1234, 5000, 9999, 10_000)] == [
        "0 %",
        "< 0.1 %",
        "12.3 %",
        "50 %",
        "> 99.9 %",
        "100 %",
    ]
    assert share(0, 0) == "0 %"


def test_sizes_paces_and_rates_are_in_units_that_suit_them() -> None:
    assert [size(count) for count in (0, 999, 1500, 2e9, 5e18)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "2.0 GB",
        "5000.0 PB",
    ]
    assert [pace(delay) for delay in (0.5, 1, 2.5)] == [
        "2 requests/s",
        "1 request/s",
        "1 request every 2.5 s",
    ]
    assert [rate(each) for each in (1234.5, 12.34, 0.5, 0.01)] == [
        "1,234 images/s",
        "12.3 images/s",
        "30 images/min",
        "36 images/h",
    ]


def test_a_failure_is_told_with_its_host_its_pace_and_the_time_left() -> None:
    load = _load("flickr.com", 2400)
    summary = _summary(_LIMITED, causes=(_FLICKR,), loads=(load,))
    expected = (
        "412 of 5,000 failed because flickr.com answers 429: limited to 1 request/s, about 40 min left."
    )
    assert expected in _said(summary)


def test_a_host_that_is_backed_off_is_told_for_how_long() -> None:
    load = _load("flickr.com", 60, closed_for=120.0)
    summary = _summary(_LIMITED, causes=(_FLICKR,), loads=(load,))
    assert any(
        "limited to 1 request/s, backed off for 2 min, about 3 min left." in line for line in _said(summary)
    )


def test_nothing_is_left_of_a_job_that_is_over() -> None:
    load = _load("flickr.com", 2400, closed_for=60.0)
    summary = _summary(_GOOD, _LIMITED, job=_DONE, causes=(_FLICKR,), loads=(load,))
    assert _said(summary) == [
        "Job 7 is completed. 5,000 of 5,000 images are done: 4,588 succeeded (91.8 %), 412 failed (8.2 %).",
        "412 of 5,000 failed because flickr.com answers 429: limited to 1 request/s.",
        "Retry 412 transient failures with `smartsight retry 7`.",
    ]


def test_a_host_that_most_failures_are_of_is_named_and_the_others_counted() -> None:
    ending = _ending(ItemState.FAILED, Code.HTTP_404, 100, hosts=3)
    cause = Cause(ItemState.FAILED, Code.HTTP_404, "a.example", 80, "http://a.example/", "")
    expected = (
        "80 of 5,000 failed because a.example has nothing at their URLs (404); 20 more at 2 other hosts."
    )
    assert expected in _said(_summary(ending, causes=(cause,)))


def test_failures_of_many_hosts_are_told_by_their_code() -> None:
    ending = _ending(ItemState.FAILED, Code.HTTP_404, 100, hosts=60)
    cause = Cause(ItemState.FAILED, Code.HTTP_404, "a.example", 8, "http://a.example/", "")
    expected = (
        "100 of 5,000 failed at 60 hosts, most at a.example (8): The host has nothing at this URL (HTTP 404)."
    )
    assert expected in _said(_summary(ending, causes=(cause,)))


def test_files_of_this_machine_have_no_host() -> None:
    ending = _ending(ItemState.FAILED, Code.FILE_NOT_FOUND, 3, hosts=0)
    cause = Cause(ItemState.FAILED, Code.FILE_NOT_FOUND, None, 3, "a.jpg", "")
    assert "3 of 5,000 failed: There is no file at this path." in _said(_summary(ending, causes=(cause,)))


@pytest.mark.parametrize("code", [code for code in Code if code not in (Code.JOB_UNKNOWN,)])
def test_every_code_makes_a_sentence_with_the_host_and_without(code: Code) -> None:
    for host in ("a.example", None):
        ending = _ending(ItemState.FAILED, code, 3, hosts=1 if host else 0)
        cause = Cause(ItemState.FAILED, code, host, 3, "x", "")
        sentence = _said(_summary(ending, causes=(cause,)))[1]
        assert sentence.startswith("3 of 5,000 failed")
        assert ("a.example" in sentence) == bool(host)
        assert sentence.endswith(".")
        assert not sentence.endswith("..")
        assert "{" not in sentence


def test_what_is_skipped_is_not_called_a_failure() -> None:
    ending = _ending(ItemState.SKIPPED, Code.ROBOTS_DISALLOWED, 9)
    cause = Cause(ItemState.SKIPPED, Code.ROBOTS_DISALLOWED, "a.example", 9, "http://a.example/", "")
    expected = "9 of 5,000 were skipped because the robots.txt of a.example disallows them."
    assert expected in _said(_summary(ending, causes=(cause,)))


def test_rare_causes_are_counted_together() -> None:
    codes = list(Code)[:8]
    endings = [_ending(ItemState.FAILED, code, 10 - place) for place, code in enumerate(codes)]
    assert "7 more have no label for 2 other reasons." in _said(_summary(*endings))


def test_copies_are_counted() -> None:
    summary = _summary(_GOOD, classes=Classes((ClassCount(0, 4000, 37),), 1, 4588, 625))
    assert "Of 4,588 labelled images, 625 are different and 3,963 are copies." in _said(summary)


def test_a_standstill_is_told_and_a_worker_asked_for_only_where_none_was_seen() -> None:
    stale = replace(_GOOD, last_at=_NOW - timedelta(minutes=20))
    assert "Nothing was finished for 20 min." in _said(_summary(stale))
    assert not any("is one running" in line for line in _said(_summary(stale)))
    asked = "No worker was seen in the last minute, and 412 images are left: is one running?"
    assert _said(_summary(stale, has_worker=False))[-2:] == ["Nothing was finished for 20 min.", asked]
    paused = _job(state=JobState.PAUSED)
    assert not any("running?" in line for line in _said(_summary(stale, job=paused, has_worker=False)))


def _waiting(count: int, minutes: int, host: str = "x.example") -> Waiting:
    at = _NOW + timedelta(minutes=minutes)
    return Waiting(count, True, at, at + timedelta(minutes=17), (RetryGroup(host, "http_5xx", count, at),))


def test_what_waits_for_another_try_has_no_rate_and_no_standstill() -> None:
    stale = replace(_GOOD, last_at=_NOW - timedelta(minutes=20))
    summary = _summary(stale, loads=(_load("x.example", 412, 0.01),), waiting=_waiting(412, 15))
    assert _said(summary)[-3:] == [
        "412 images wait for another try at 12:15 UTC (http_5xx, x.example).",
        "If that fails again and again, the last of them ends by 12:32 UTC.",
        "`smartsight give-up 7` ends what waits now, with its last error.",
    ]
    report = make_report(summary, _MODEL)
    assert " ".join(_said(summary)[-3:-1]) == report.time_left_sentence
    left = json.loads(report.as_json())["time_left"]
    assert (left["items"], left["seconds"], left["waiting"]["count"]) == (412, None, 412)
    page = " ".join(_Page(render(report)).text.split())
    assert "wait for another try at 12:15 UTC" in page
    assert "x.example 100 requests/s, next try in 15 min (http_5xx) 412 15 min" in page


def test_the_others_take_as_long_as_without_what_waits() -> None:
    summary = _summary(
        replace(_GOOD, recent=600),
        loads=(_load("x.example", 312, 1.0, closed_for=900.0), _load("y.example", 100, 2.0)),
        waiting=_waiting(312, 15),
    )
    assert _said(summary)[-4:-2] == [
        "y.example takes longest: 3 min; all others are done.",
        "312 images wait for another try at 12:15 UTC (http_5xx, x.example).",
    ]


def test_the_host_that_takes_longest_bounds_the_job() -> None:
    loads = (_load("flickr.com", 11_400), _load("b.example", 600))
    left = estimate(12_720, rate=10.0, busiest=loads)
    assert left == TimeLeft(12_720, 10.0, 11_400.0, "flickr.com", 600.0)
    summary = _summary(replace(_GOOD, recent=3000), job=_job(submitted=16_588), loads=loads)
    assert _said(summary)[-1] == "flickr.com takes longest: 3 h 10 min; all others are done in 10 min."


def test_the_workers_bound_a_job_whose_hosts_are_quick() -> None:
    left = estimate(10_000, rate=1.0, busiest=(_load("a.example", 100), _load("b.example", 90)))
    assert left == TimeLeft(10_000, 1.0, 10_000.0, None, None)


def test_local_files_are_left_at_the_present_rate() -> None:
    assert estimate(100, 2.0, ()) == TimeLeft(100, 2.0, 50.0)


def test_a_host_bounds_at_least_what_it_takes_itself_before_anything_is_done() -> None:
    left = estimate(1000, 0.0, (_load("a.example", 600), _load("b.example", 300)))
    assert (left.seconds, left.host, left.others_seconds) == (600.0, "a.example", None)
    assert estimate(1000, 0.0, ()).seconds is None


def test_the_last_host_is_all_that_is_left() -> None:
    left = estimate(600, 0.9, (_load("a.example", 600),))
    assert (left.host, left.others_seconds) == ("a.example", 0.0)
    assert left.seconds == pytest.approx(666.7, abs=0.1)


def test_the_rate_is_that_of_the_last_minutes_or_of_the_whole_run() -> None:
    assert present_rate(_summary(replace(_GOOD, recent=600))) == 600 / RECENT.total_seconds()
    young = _job(created_at=_NOW - timedelta(seconds=10))
    assert present_rate(_summary(replace(_GOOD, recent=50), job=young)) == 5.0
    ended = replace(_GOOD, count=900, last_at=_NOW - timedelta(minutes=30))
    assert present_rate(_summary(ended)) == 0.5
    assert present_rate(_summary()) == 0.0


def test_a_naive_time_of_a_database_is_utc() -> None:
    job = _job(created_at=(_NOW - timedelta(seconds=10)).replace(tzinfo=None))
    assert present_rate(_summary(replace(_GOOD, recent=50), job=job)) == 5.0


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.CANCELLED, JobState.CANCELLING])
def test_a_job_that_is_over_has_no_time_left(state: JobState) -> None:
    assert time_left(_summary(replace(_GOOD, count=1), job=_job(state=state))) is None


def test_a_paused_job_takes_time_once_it_is_resumed() -> None:
    paused = _job(state=JobState.PAUSED, reason="too many failures")
    said = _said(_summary(replace(_GOOD, count=3600), job=paused))
    assert said[0].startswith("Job 7 is paused (too many failures).")
    assert any(line.startswith("Once it is resumed, about ") for line in said)
    assert said[-1] == "Resume it with `smartsight resume 7`."


def _full(**changes: Any) -> Summary:
    """A summary with something hostile wherever a stranger has a word."""
    return _summary(
        replace(_GOOD, bytes=10**9, fetched=4000, fetch_ms=8e5, reused=5),
        replace(_LIMITED, count=300),
        job=_job(name=_HOSTILE, reason=_HOSTILE, submitted=9000),
        causes=(Cause(ItemState.FAILED, Code.RATE_LIMITED, _HOSTILE, 290, _HOSTILE, _HOSTILE),),
        loads=(_load(_HOSTILE, 4000), _load("b" * 253, 12)),
        slowest=(SlowHost(_HOSTILE, 3, 1234.5, 999),),
        classes=Classes(tuple(ClassCount(place, 90 - place, 40) for place in range(3)), 9, 4588, 200),
        bars=(
            ProgressBin(_NOW - timedelta(minutes=2), ItemState.SUCCEEDED, 10),
            ProgressBin(_NOW - timedelta(minutes=2), ItemState.FAILED, 5),
            ProgressBin(_NOW, ItemState.SKIPPED, 10),
        ),
        **changes,
    )


class _Page(HTMLParser):
    """Collects the elements, their addresses and the text of a page."""

    _VOID = ("meta", "link", "br", "img", "input", "hr")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not any(name.startswith("on") for name, _ in attributes)
        self.ids += [value or "" for name, value in attributes if name == "id"]
        self.addresses += [
            value or "" for name, value in attributes if name.split(":")[-1] in ("href", "src")
        ]
        if tag not in self._VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        if tag not in self._VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, text: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text += text


def test_the_page_bears_hostile_words_and_needs_nothing_from_outside() -> None:
    page = render(make_report(_full(), _MODEL))
    parsed = _Page(page)
    assert "<script" not in page
    assert not set(parsed.tags) & {"script", "link", "img", "iframe", "object", "a"}
    assert all(address.startswith("#") for address in parsed.addresses)
    assert not re.search(r"url\((?!#)|@import", page)
    assert len(parsed.ids) == len(set(parsed.ids))
    # Job, reason, host, example, detail and class, several times each.
    assert parsed.text.count("alert(1)") >= 10


def test_the_page_tells_what_the_sentences_tell() -> None:
    report = make_report(_full(), _MODEL)
    text = _Page(render(report)).text
    for sentence in report.sentences:
        assert sentence in text
    assert "4,588 succeeded" in text
    assert "4,112 pending" in text
    assert "all others" in text


@pytest.mark.parametrize("job", [_job(), _job(submitted=0, recorded=False), _DONE])
def test_a_page_without_results(job: Job) -> None:
    parsed = _Page(render(make_report(_summary(job=job), _MODEL)))
    assert f"Job {job.id} is {job.state}" in parsed.text
    assert "svg" not in parsed.tags


def test_the_json_holds_the_whole_report() -> None:
    report = make_report(_full(), _MODEL)
    read = json.loads(report.as_json())
    assert read["job"]["name"] == _HOSTILE
    assert read["sentences"] == list(report.sentences)
    assert read["states"] == {"succeeded": 4588, "failed": 300, "pending": 4112}
    assert read["codes"][0] | {"sentence": ""} == {
        "state": "failed",
        "code": "rate_limited",
        "meaning": Code.RATE_LIMITED.sentence,
        "transient": True,
        "count": 300,
        "hosts": 1,
        "sentence": "",
    }
    assert read["other_causes"]["count"] == 10
    assert read["steps"][0] == {"at": "2026-03-01T11:58:00Z", "succeeded": 10, "failed": 5, "skipped": 0}
    assert read["other_classes"] == {"count": 4588 - 267, "contents": 80, "classes": 6}
    assert read["fetching"] == {"bytes": 10**9, "fetched": 4000, "mean_fetch_ms": 200.0}
    assert (read["time_left"]["items"], read["time_left"]["host"]) == (4112, _HOSTILE)
    assert read["other_hosts_left"]["count"] == 100


def test_the_pictures_say_in_text_what_they_show() -> None:
    text = _Page(render(make_report(_full(), _MODEL))).text
    assert "2026-03-01 11:58:00 UTC: 10 succeeded, 5 failed, 0 skipped" in text
    assert "$\\frac{a}$" in text
    assert render(make_report(_full(), _MODEL)) == render(make_report(_full(), _MODEL))


def test_the_bars_of_classes_are_as_long_as_their_counts() -> None:
    page = render(make_report(_full(), _MODEL))
    assert re.findall(r"--all: ([0-9.]+)%", page) == ["100.0", "98.89", "97.78"]
    assert re.findall(r'<span style="width: ([0-9.]+)%', page) == ["44.44"] * 3


def test_the_bars_of_the_time_line_are_stacked_by_state() -> None:
    steps = [TimelineStep(_NOW, 10, 5, 0), TimelineStep(_NOW + timedelta(seconds=30), 0, 0, 3)]
    chart = timeline_chart(steps, 10)
    (first, second) = chart.bars
    assert chart.peak == 1.5
    assert chart.rates[-1].label == "1.5"
    assert [part.state for part in first.segments] == ["succeeded", "failed"]
    assert [part.height for part in first.segments] == pytest.approx([66.667, 33.333], abs=0.001)
    assert first.segments[-1].y == pytest.approx(0, abs=0.001)
    assert (first.x, second.x, second.width) == (0, 75, 22.5)
    assert second.segments[0].y + second.segments[0].height == pytest.approx(100, abs=0.01)


@pytest.mark.parametrize("seconds", [0, 1, 7, 60, 3600, 7800, 86_400, 86_400 * 40, 86_400 * 4000])
def test_a_time_line_of_any_length_is_drawn(seconds: int) -> None:
    later = TimelineStep(_NOW + timedelta(seconds=seconds), 0, 1, 0)
    steps = [TimelineStep(_NOW, 1, 2, 3), later][: 1 + bool(seconds)]
    chart = timeline_chart(steps, max(1, seconds // 60))
    parts = [part for bar in chart.bars for part in bar.segments]
    assert all(bar.x >= 0 and bar.x + bar.width <= 100.001 for bar in chart.bars)
    assert all(part.y >= -0.001 and part.y + part.height <= 100.001 for part in parts)
    assert all(0 <= tick.place <= 100 for tick in (*chart.times, *chart.rates))
    assert 1 <= len(chart.times) <= 5


@pytest.mark.parametrize(
    ("peak", "ticks"),
    [
        (0, [0]),
        (0.0123, [0, 0.005, 0.01, 0.015]),
        (1.5, [0, 0.5, 1, 1.5]),
        (3, [0, 1, 2, 3]),
        (3.1, [0, 2, 4]),
        (1234, [0, 500, 1000, 1500]),
    ],
)
def test_rates_at_the_axis_are_round_and_few(peak: float, ticks: list[float]) -> None:
    assert rate_ticks(peak) == pytest.approx(ticks)


@pytest.mark.parametrize("span", [1, 50, 300, 7800, 86_400 * 3, 86_400 * 400])
def test_labels_of_times_are_few_and_round(span: int) -> None:
    first = int(_NOW.timestamp()) + 1
    times = time_ticks(first, first + span, most=7)
    assert 1 <= len(times) <= 7
    assert all(first <= time <= first + span for time in times)
    assert len({after - before for before, after in pairwise(times)}) <= 1, "not at equal distances"
    assert "\n" in tick_labels(times)[0]


def test_the_day_stands_where_it_changes() -> None:
    start = int(datetime(2026, 2, 28, 23, 0, tzinfo=UTC).timestamp())
    assert tick_labels([start, start + 1800, start + 3600]) == ["23:00\n28 Feb", "23:30", "00:00\n1 Mar"]
    assert tick_labels([start + 5]) == ["23:00:05\n28 Feb"]
