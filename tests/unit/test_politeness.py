"""How a host is treated: its pauses, and when it is left alone. No clock runs here."""

import pytest

from shared.errors import Code
from shared.hosts import HostState, HostStatus, host_of, host_status
from worker.politeness import HostThrottle, PolitenessPolicy

_POLICY = PolitenessPolicy(connections=2, delay=0.5, backoff_schedule=(10.0, 100.0))


def _throttle(**state: object) -> HostThrottle:
    return HostThrottle(_POLICY, HostState("h", **state))  # type: ignore[arg-type]


def _fail(throttle: HostThrottle, times: int, now: float = 0.0, code: Code = Code.FETCH_TIMEOUT) -> None:
    for _ in range(times):
        throttle.record_outcome(code, now, now)


def test_requests_are_so_far_apart() -> None:
    throttle = _throttle()
    assert [throttle.reserve(10.0), throttle.reserve(10.1), throttle.reserve(12.0)] == [10.0, 10.5, 12.0]


def test_a_pause_counts_from_when_the_request_was_out() -> None:
    throttle = _throttle()
    throttle.reserve(10.0)
    throttle.request_sent(10.3)
    assert throttle.reserve(10.4) == 10.8


def test_the_pause_of_the_last_holder_holds() -> None:
    assert _throttle(next_at=20.0).reserve(10.0) == 20.0


def test_robots_can_only_make_a_pause_longer() -> None:
    throttle = _throttle()
    throttle.require_delay(3.0)
    throttle.require_delay(0.0)
    assert throttle.delay == 3.0


def test_a_host_that_asks_for_it_is_slowed_down_and_recovers() -> None:
    throttle = _throttle()
    throttle.record_outcome(Code.RATE_LIMITED, 0.0, 0.0, retry_after=7.0)
    assert (throttle.delay, throttle.opens_at) == (1.0, 7.0)
    throttle.record_outcome(Code.RATE_LIMITED, 7.0, 8.0)
    assert (throttle.delay, throttle.opens_at) == (2.0, 10.0)
    for _ in range(20):
        throttle.record_outcome(None, 20.0, 20.0)
    assert throttle.delay == 0.5


def test_answers_to_requests_that_were_under_way_slow_it_down_once() -> None:
    throttle = _throttle()
    for _ in range(10):
        throttle.record_outcome(Code.RATE_LIMITED, started=1.0, now=2.0)
    assert throttle.delay == 1.0


def test_no_host_can_hold_us_for_ever() -> None:
    throttle = _throttle()
    throttle.record_outcome(Code.RATE_LIMITED, 0.0, 0.0, retry_after=1e9)
    assert throttle.opens_at == 900.0
    for step in range(40):
        throttle.record_outcome(Code.RATE_LIMITED, 1000.0 * step, 1000.0 * step)
    assert throttle.delay == 60.0


def test_a_host_that_keeps_failing_is_backed_off_and_then_given_up() -> None:
    throttle = _throttle()
    _fail(throttle, 4)
    assert throttle.opens_at == 0.0
    _fail(throttle, 1)
    assert (throttle.opens_at, throttle.connections) == (10.0, 1)
    _fail(throttle, 1, now=10.0)
    assert (throttle.opens_at, throttle.is_given_up(50.0)) == (110.0, False)
    _fail(throttle, 1, now=110.0)
    assert (throttle.opens_at, throttle.is_given_up(150.0), throttle.is_given_up(210.0)) == (
        210.0,
        True,
        False,
    )
    throttle.record_outcome(None, 210.0, 211.0)
    assert (throttle.connections, throttle.is_given_up(212.0)) == (2, False)


@pytest.mark.parametrize("retry_after", [None, 60.0, 5000.0])
@pytest.mark.parametrize("seconds", [0.0, 30.0, 100.0])
def test_a_host_that_goes_on_failing_is_given_up_by_the_time_that_was_told(
    retry_after: float | None, seconds: float
) -> None:
    throttle, now, told = _throttle(), 0.0, list[float]()
    while not throttle.is_given_up(now):
        started, now = max(now, throttle.opens_at), max(now, throttle.opens_at) + seconds
        throttle.record_outcome(Code.HTTP_5XX, started, now, retry_after)
        if throttle.state.trips and not throttle.is_given_up(now):
            told.append(throttle.state.gives_up_at)
    assert len(told) == len(_POLICY.backoff_schedule)
    assert all(end >= now for end in told), "it took longer than was told"
    assert told[-1] - now <= 120, "and not much too long at the end"
    throttle.record_outcome(None, throttle.opens_at, throttle.opens_at)
    assert throttle.state.gives_up_at == 0


def test_one_success_forgives_all() -> None:
    throttle = _throttle()
    _fail(throttle, 4)
    throttle.record_outcome(None, 0.0, 0.0)
    _fail(throttle, 4)
    assert throttle.opens_at == 0.0


def test_a_host_is_not_judged_by_the_failures_that_come_back_first() -> None:
    throttle = _throttle()
    for _ in range(9):
        throttle.record_outcome(Code.HTTP_5XX, 0.0, 1.0, under_way=10)
    assert throttle.opens_at == 0.0
    throttle.record_outcome(Code.HTTP_5XX, 0.0, 1.0, under_way=10)
    assert throttle.opens_at == 11.0


@pytest.mark.parametrize(("code", "enough"), [(Code.CONNECT_FAILED, 2), (Code.HTTP_5XX, 5)])
def test_a_host_of_our_own_that_cannot_be_reached_is_down(code: Code, enough: int) -> None:
    throttle = HostThrottle(_POLICY.without_limits(), HostState("h"))
    _fail(throttle, enough - 1, code=code)
    throttle.record_outcome(code, 0.0, 0.0, under_way=20)
    assert throttle.opens_at == 0.0
    throttle.record_outcome(code, 0.0, 0.0)
    assert throttle.opens_at == 10.0


def test_a_host_of_our_own_gets_the_pause_that_it_asks_for_and_no_other() -> None:
    throttle = HostThrottle(_POLICY.without_limits(), HostState("h"))
    throttle.record_outcome(Code.HTTP_5XX, 0.0, 0.0, retry_after=0.0)
    throttle.record_outcome(Code.RATE_LIMITED, 0.0, 0.0)
    assert (throttle.opens_at, throttle.delay) == (0.0, 0.0)
    throttle.record_outcome(Code.RATE_LIMITED, 0.0, 0.0, retry_after=7.0)
    assert (throttle.opens_at, throttle.delay) == (7.0, 0.0)


def test_a_host_without_a_pause_recovers_altogether() -> None:
    throttle = HostThrottle(PolitenessPolicy(64, 0.0, (10.0,)), HostState("h"))
    throttle.record_outcome(Code.RATE_LIMITED, 0.0, 0.0)
    assert throttle.delay == 0.5
    for _ in range(40):
        throttle.record_outcome(None, 1.0, 1.0)
    assert throttle.delay == 0.0


@pytest.mark.parametrize("code", [Code.HTTP_404, Code.NOT_AN_IMAGE, Code.ROBOTS_DISALLOWED, Code.HTTP_403])
def test_what_is_wrong_with_a_url_says_nothing_against_its_host(code: Code) -> None:
    throttle = _throttle()
    _fail(throttle, 20, code=code)
    assert (throttle.opens_at, throttle.state.failures) == (0.0, 0)


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (HostState("h"), HostStatus.OPEN),
        (HostState("h", delay=2.0), HostStatus.SLOW),
        (HostState("h", closed_until=99.0, trips=1), HostStatus.BACKED_OFF),
        (HostState("h", closed_until=99.0, trips=4), HostStatus.GIVEN_UP),
        (HostState("h", closed_until=9.0, trips=4), HostStatus.OPEN),
        (HostState("h", closed_until=99.0, blocked=True), HostStatus.BLOCKED),
    ],
)
def test_how_a_host_stands_is_one_word(state: HostState, word: HostStatus) -> None:
    assert host_status(state, now=10.0, backoff_steps=3) is word


@pytest.mark.parametrize(
    ("ref", "host"),
    [
        ("http://Example.COM/a.jpg", "example.com"),
        ("https://example.com.:8443?x", "example.com"),
        ("http://user:pw@example.com/", "example.com"),
        ("http://[2606:4700::1111]:80/a", "2606:4700::1111"),
        ("http://bücher.example/ü.jpg", "xn--bcher-kva.example"),
        ("http://straße.example/", "xn--strae-oqa.example"),
        (f"http://{'a.' * 200}example/", None),
        ("http:///nothing", None),
        ("photos/a.jpg", None),
        ("crawl.warc.gz:12:http://example.com/a.jpg", None),
    ],
)
def test_the_host_of_a_reference(ref: str, host: str | None) -> None:
    assert host_of(ref) == host


def test_times_that_no_rule_sets_are_those_of_a_clock_that_was_ahead() -> None:
    throttle = _throttle(next_at=86_400.0, closed_until=90_000.0, trips=1)
    throttle.forget_far_times(100.0)
    assert throttle.opens_at == 100.0
    for farthest in (throttle.state.closed_until, 100.0 + _POLICY.longest_pause):
        throttle.state.closed_until = farthest
        throttle.forget_far_times(100.0)
        assert throttle.opens_at == farthest
