"""What a sample says of a list: how it is drawn, and what is concluded from it."""

import random
from collections import Counter
from datetime import UTC, datetime

import pytest

from commands.dry_run import SampleRun
from commands.submit import estimate_lines
from producer.estimate import (
    CrawlLimits,
    ListProfile,
    SampledReference,
    estimate,
    profile_list,
    sample,
    wilson,
)
from producer.references import Reference
from shared.errors import Code
from shared.items import Evidence, ItemState, Result
from shared.settings import read_settings

_PACE = CrawlLimits(connections=2, delays={}, default_delay=0.25, cores=2)


def _refs(host: str, count: int) -> list[str]:
    return [f"http://{host}/{number}.jpg" for number in range(count)]


def _look(refs: list[str]) -> ListProfile:
    return profile_list(refs, random.Random(1))


def test_a_short_list_is_known_exactly() -> None:
    listed = _look([*_refs("a.example", 30), *_refs("a.example", 10), *_refs("b.example", 60)])
    assert (listed.total, listed.distinct) == (100, 90)
    assert listed.shares == {"a.example": pytest.approx(1 / 3), "b.example": pytest.approx(2 / 3)}


def test_a_long_list_is_known_roughly() -> None:
    refs = [*_refs("a.example", 60_000), *_refs("b.example", 20_000), *_refs("b.example", 20_000)]
    listed = _look(refs)
    assert listed.total == 100_000
    assert listed.distinct == pytest.approx(80_000, rel=0.1)
    assert len(listed.kept) == 20_000
    assert listed.shares["a.example"] == pytest.approx(0.6, abs=0.05)


def test_a_sample_is_spread_over_the_hosts_and_stands_for_the_whole() -> None:
    refs = [*_refs("large.example", 900), *(ref for n in range(25) for ref in _refs(f"h{n}.example", 4))]
    sampled = sample(_look(refs), 60, random.Random(1))
    counts = Counter(one.host for one in sampled)
    assert len(sampled) == len({one.ref for one in sampled}) == 60
    assert counts["large.example"] == 20
    assert len(counts) > 15
    weight = sum(one.weight for one in sampled if one.host == "large.example")
    assert weight / sum(one.weight for one in sampled) == pytest.approx(0.9, abs=0.05)


def test_the_sample_of_a_short_list_is_the_list() -> None:
    refs = _refs("a.example", 7)
    assert sorted(one.ref for one in sample(_look(refs), 200, random.Random(1))) == refs


def _result(code: Code | None = None, **evidence: float | str) -> Result:
    state = ItemState.FAILED if code else ItemState.SUCCEEDED
    return Result(1, 0, state, datetime.now(UTC), 1, 1, code=code, evidence=Evidence(**evidence))  # type: ignore[arg-type]


def test_each_result_counts_for_what_it_stands_for() -> None:
    listed = ListProfile(1000, 500, [*_refs("a.example", 9), *_refs("b.example", 1)])
    sampled = [
        SampledReference("http://a.example/1", "a.example", 9.0),
        SampledReference("http://b.example/1", "b.example", 1.0),
    ]
    results = [_result(bytes=1000, label_ms=10.0), _result(Code.HTTP_403, bytes=0)]
    found = estimate(listed, sampled, results, _PACE)
    assert found.success == pytest.approx(0.9)
    assert found.low < 0.9 < found.high
    assert found.causes == ((Code.HTTP_403, pytest.approx(0.1)),)
    assert found.forbidding == (("b.example", Code.HTTP_403),)
    assert found.duplicates == 0.5
    assert found.bytes == pytest.approx(0.9 * 1000 * 500)
    assert (found.seconds, found.bound_by) == (pytest.approx(0.9 * 500 * 0.25), "a.example")


@pytest.mark.parametrize(
    ("pace", "seconds"),
    [
        (CrawlLimits(2, {"a.example": 10.0}, 0.25, 2), 100 * 10.0),
        (CrawlLimits(2, {}, 0.25, 2), 100 * 4.0 / 2),  # a fetch takes four seconds, two at a time
        (CrawlLimits(2, {}, 5.0, 2), 100 * 5.0),
        # a host of one's own has no limit but the images that are fetched at all
        (CrawlLimits(2, {"a.example": 10.0}, 5.0, 2, {"a.example"}, 8), 100 * 4.0 / 8),
    ],
)
def test_the_slowest_host_bounds_the_time(pace: CrawlLimits, seconds: float) -> None:
    listed = ListProfile(100, 100, _refs("a.example", 100))
    sampled = [SampledReference("http://a.example/1", "a.example", 1.0)]
    found = estimate(listed, sampled, [_result(fetch_ms=4000.0, label_ms=1.0)], pace)
    assert found.seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("own", "unlimited"),
    [
        ("", set()),
        ("a.example", set()),  # some of its URLs name a port that is not its own
        ("a.example,a.example:8443,B\xfccher.example", {"a.example", "xn--bcher-kva.example"}),
    ],
)
def test_own_hosts_are_reckoned_without_a_pause(own: str, unlimited: set[str]) -> None:
    settings = read_settings({"SMARTSIGHT_OWN_HOSTS": own, "SMARTSIGHT_PORTS": "80,443,8443"})
    urls = [
        "http://a.example/1",
        "https://a.example:8443/1",
        "http://b.example/",
        "https://B\xfccher.example/1",
    ]
    refused = ["http://127.0.0.1/", "http://b.example:99/"]
    run = SampleRun([Reference(url) for url in [*urls, *refused]], 5, "lite0", settings)
    assert run.unlimited_hosts() == unlimited | {"127.0.0.1"}


def test_where_hosts_are_many_labelling_bounds_the_time() -> None:
    listed = ListProfile(10_000, 10_000, [f"http://h{n}.example/" for n in range(10_000)])
    sampled = [SampledReference("http://h1.example/", "h1.example", 1.0)]
    found = estimate(listed, sampled, [_result(fetch_ms=1.0, label_ms=20.0)], _PACE)
    assert (found.seconds, found.bound_by) == (pytest.approx(10_000 * 0.02 / 2), None)


@pytest.mark.parametrize(
    ("rate", "count", "low", "high"),
    [(0.5, 100, 0.404, 0.596), (1.0, 10, 0.722, 1.0), (0.0, 10, 0.0, 0.278)],  # published values
)
def test_the_interval_is_wilsons(rate: float, count: float, low: float, high: float) -> None:
    assert wilson(rate, count) == (pytest.approx(low, abs=0.001), pytest.approx(high, abs=0.001))


def test_an_estimate_is_told_in_words() -> None:
    listed = ListProfile(20_000, 18_000, _refs("slow.example", 10))
    sampled = [SampledReference("http://slow.example/1", "slow.example", 1.0)] * 4
    results = [_result(bytes=150_000)] * 3 + [_result(Code.ROBOTS_DISALLOWED)]
    text = "\n".join(estimate_lines(estimate(listed, sampled, results, _PACE)))
    assert "75.0%" in text
    assert "25.0% robots_disallowed: The host's robots.txt" in text
    assert "10.0% occur earlier" in text
    assert "about 2.02 GB" in text
    assert "about 75 minutes, limited by the request rate of slow.example" in text
    assert "slow.example (robots_disallowed)" in text
