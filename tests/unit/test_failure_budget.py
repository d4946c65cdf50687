"""The failure budget, with results in simulated orders."""

import heapq
import random
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

import pytest

from producer.failure_budget import images_to_judge, least_failure_rate, over_budget
from shared.errors import Code
from shared.items import ItemState, JobState
from shared.store.store import Job, Tally

#: Whether each image of a list, or each result in its turn, is a failure.
_Failures = list[bool]


def _job(submitted: int, budget: float | None, recorded: bool = True) -> Job:
    created = datetime(2026, 11, 30, tzinfo=UTC)
    state = JobState.RUNNING if recorded else JobState.SUBMITTING
    return Job(1, None, state, "", recorded, 1, submitted, "", 0, budget, created, None)


def _tallies(failed: int, succeeded: int, skipped: int = 0) -> list[Tally]:
    return [
        Tally(ItemState.FAILED, Code.HTTP_404, failed),
        Tally(ItemState.SUCCEEDED, None, succeeded),
        Tally(ItemState.SKIPPED, Code.ROBOTS_DISALLOWED, skipped),
    ]


def _tripped_after(job: Job, results: Iterable[bool]) -> int | None:
    """Return how many results the job had when it was over its budget first, or None if it never was."""
    failed = 0
    for count, has_failed in enumerate(results, 1):
        failed += has_failed
        if over_budget(job, _tallies(failed, count - failed)):
            return count
    return None


def _in_random_order(count: int, rate: float) -> _Failures:
    chance = random.Random(count)
    return chance.sample([index < rate * count for index in range(count)], count)


def _failures_first(images: _Failures) -> _Failures:
    return sorted(images, reverse=True)


def _failures_last(images: _Failures) -> _Failures:
    return sorted(images)


def _failures_faster(images: _Failures) -> Iterator[bool]:
    """Yield the results as 200 connections have them, where a failure takes a hundredth of the time."""
    chance, busy = random.Random(0), list[tuple[float, int, bool]]()
    now = 0.0
    for number, has_failed in enumerate(images):
        if len(busy) == 200:
            now, _, ended = heapq.heappop(busy)
            yield ended
        seconds = chance.uniform(0.5, 1.5) * (0.01 if has_failed else 1)
        heapq.heappush(busy, (now + seconds, number, has_failed))
    yield from (ended for _, _, ended in sorted(busy))


_Order = Callable[[_Failures], Iterable[bool]]
_ORDERS: list[_Order] = [list, _failures_first, _failures_last, _failures_faster]


@pytest.mark.parametrize("order", _ORDERS)
@pytest.mark.parametrize(("count", "rate", "budget"), [(100, 0.2, 0.2), (500, 0.1, 0.3), (5000, 0.19, 0.2)])
def test_a_job_within_its_budget_never_pauses_whatever_the_order_of_its_results(
    count: int, rate: float, budget: float, order: _Order
) -> None:
    assert _tripped_after(_job(count, budget), order(_in_random_order(count, rate))) is None


@pytest.mark.parametrize("order", _ORDERS)
@pytest.mark.parametrize(("count", "rate"), [(100, 0.5), (5000, 0.4), (5000, 1.0)])
def test_a_job_over_its_budget_pauses_before_its_end(count: int, rate: float, order: _Order) -> None:
    tripped = _tripped_after(_job(count, 0.2), order(_in_random_order(count, rate)))
    assert tripped is not None
    assert tripped < count


def test_a_job_of_failures_alone_pauses_as_soon_as_its_budget_is_used_up() -> None:
    assert _tripped_after(_job(5000, 0.2), [True] * 5000) == 1001
    assert _tripped_after(_job(5000, 0.0), [True] * 5000) == 50
    assert _tripped_after(_job(5000, 1.0), [True] * 5000) is None
    assert _tripped_after(_job(5000, None), [True] * 5000) is None


@pytest.mark.parametrize(("submitted", "least"), [(1000, 1000), (100_000, 50_056), (10_000_000, 1_000_000)])
def test_the_least_number_of_images_that_decide_grows_with_the_job(submitted: int, least: int) -> None:
    assert images_to_judge(56, submitted) == least
    assert not over_budget(_job(submitted, 0.2), _tallies(56, 0))


def test_a_large_job_pauses_long_before_its_end() -> None:
    job = _job(10_000_000, 0.2)
    assert not over_budget(job, _tallies(200_000, 0))
    assert over_budget(job, _tallies(203_000, 0))


def test_while_the_list_is_being_recorded_its_first_lines_decide_nothing() -> None:
    assert not over_budget(_job(1000, 0.2, recorded=False), _tallies(1000, 0))
    assert over_budget(_job(60_000, 0.2, recorded=False), _tallies(14_000, 0))


def test_what_was_skipped_on_purpose_is_no_part_of_the_rate() -> None:
    assert not over_budget(_job(1000, 0.2), _tallies(100, 0, skipped=500))
    assert over_budget(_job(1000, 0.2), _tallies(101, 0, skipped=500))


def test_a_sample_has_the_lower_limit_of_wilsons_interval() -> None:
    # Wilson's interval for 250 of 1000 with z = 3.29, computed by hand.
    assert least_failure_rate(250, 1000, 5000) == pytest.approx(0.2078, abs=0.0005)
    assert least_failure_rate(250, 1000, 1000) == 0.25


def test_the_reason_says_how_many_failed_how_many_may_and_the_commonest_cause() -> None:
    reason = "300 of 700 images failed, at most 20% of all 1000 may; 300 of them with http_404"
    assert over_budget(_job(1000, 0.2), _tallies(300, 400)) == reason
