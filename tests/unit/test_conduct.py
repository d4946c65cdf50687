"""How a host is treated: its pauses, and when it is left alone. No clock runs here."""

import pytest

from shared.errors import Code
from shared.hosts import HostState, Standing, host_of, standing
from worker.frontier.conduct import Conduct, Manners

_MANNERS = Manners(connections=2, delay=0.5, ladder=(10.0, 100.0))


def _conduct(**state: object) -> Conduct:
    return Conduct(_MANNERS, HostState("h", **state))  # type: ignore[arg-type]


def _fail(conduct: Conduct, times: int, now: float = 0.0, code: Code = Code.FETCH_TIMEOUT) -> None:
    for _ in range(times):
        conduct.judge(code, now, now)


def test_requests_are_so_far_apart() -> None:
    conduct = _conduct()
    assert [conduct.reserve(10.0), conduct.reserve(10.1), conduct.reserve(12.0)] == [10.0, 10.5, 12.0]


def test_a_pause_counts_from_when_the_request_was_out() -> None:
    conduct = _conduct()
    conduct.reserve(10.0)
    conduct.asked(10.3)
    assert conduct.reserve(10.4) == 10.8


def test_the_pause_of_the_last_holder_holds() -> None:
    assert _conduct(next_at=20.0).reserve(10.0) == 20.0


def test_robots_can_only_make_a_pause_longer() -> None:
    conduct = _conduct()
    conduct.obey(3.0)
    conduct.obey(0.0)
    assert conduct.delay == 3.0


def test_a_host_that_asks_for_it_is_slowed_down_and_recovers() -> None:
    conduct = _conduct()
    conduct.judge(Code.RATE_LIMITED, 0.0, 0.0, wait=7.0)
    assert (conduct.delay, conduct.opens_at) == (1.0, 7.0)
    conduct.judge(Code.RATE_LIMITED, 7.0, 8.0)
    assert (conduct.delay, conduct.opens_at) == (2.0, 10.0)
    for _ in range(20):
        conduct.judge(None, 20.0, 20.0)
    assert conduct.delay == 0.5


def test_answers_to_requests_that_were_under_way_slow_it_down_once() -> None:
    conduct = _conduct()
    for _ in range(10):
        conduct.judge(Code.RATE_LIMITED, started=1.0, now=2.0)
    assert conduct.delay == 1.0


def test_no_host_can_hold_us_for_ever() -> None:
    conduct = _conduct()
    conduct.judge(Code.RATE_LIMITED, 0.0, 0.0, wait=1e9)
    assert conduct.opens_at == 900.0
    for step in range(40):
        conduct.judge(Code.RATE_LIMITED, 1000.0 * step, 1000.0 * step)
    assert conduct.delay == 60.0


def test_a_host_that_keeps_failing_is_set_aside_and_then_given_up() -> None:
    conduct = _conduct()
    _fail(conduct, 4)
    assert conduct.opens_at == 0.0
    _fail(conduct, 1)
    assert (conduct.opens_at, conduct.connections) == (10.0, 1)
    _fail(conduct, 1, now=10.0)
    assert (conduct.opens_at, conduct.is_down(50.0)) == (110.0, False)
    _fail(conduct, 1, now=110.0)
    assert (conduct.opens_at, conduct.is_down(150.0), conduct.is_down(210.0)) == (210.0, True, False)
    conduct.judge(None, 210.0, 211.0)
    assert (conduct.connections, conduct.is_down(212.0)) == (2, False)


def test_one_success_forgives_all() -> None:
    conduct = _conduct()
    _fail(conduct, 4)
    conduct.judge(None, 0.0, 0.0)
    _fail(conduct, 4)
    assert conduct.opens_at == 0.0


@pytest.mark.parametrize("code", [Code.HTTP_404, Code.NOT_AN_IMAGE, Code.ROBOTS_DISALLOWED, Code.HTTP_403])
def test_what_is_wrong_with_a_url_says_nothing_against_its_host(code: Code) -> None:
    conduct = _conduct()
    _fail(conduct, 20, code=code)
    assert (conduct.opens_at, conduct.state.failures) == (0.0, 0)


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (HostState("h"), Standing.OPEN),
        (HostState("h", delay=2.0), Standing.SLOW),
        (HostState("h", closed_until=99.0, trips=1), Standing.ASIDE),
        (HostState("h", closed_until=99.0, trips=4), Standing.DOWN),
        (HostState("h", closed_until=9.0, trips=4), Standing.OPEN),
        (HostState("h", closed_until=99.0, blocked=True), Standing.BLOCKED),
    ],
)
def test_how_a_host_stands_is_one_word(state: HostState, word: Standing) -> None:
    assert standing(state, now=10.0, ladder=3) is word


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
