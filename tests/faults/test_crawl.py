"""A crawl over a hostile and slow web, by three workers through the real queue."""

import time
from itertools import combinations
from pathlib import Path

import pytest

from tests.servers.fleet import Fleet
from tests.servers.waiting import wait_until
from tests.servers.web import TRAP, Web
from tests.servers.web_crawl import expected, rebinding
from tests.servers.web_hosts import HOSTS, MIXED
from tests.servers.web_observed import ROBOTS, Observed

_DELAY, _CONNECTIONS = 0.5, 2
#: Requests are stamped when the web has read them, which a busy machine does later now and then, in seconds.
_BLUR = 0.4
#: How long the crawl may take, in seconds: attempts, pauses and deadlines add up to less than half of it.
_BOUND = 180.0
_SKIPPED = ("robots_disallowed", "opted_out", "placeholder")


@pytest.fixture
def settings(web: Web, tmp_path: Path) -> dict[str, str]:
    return {
        "SMARTSIGHT_FETCH_TIMEOUT": "2",
        "SMARTSIGHT_HOST_DELAY": str(_DELAY),
        "SMARTSIGHT_HOST_CONNECTIONS": str(_CONNECTIONS),
        "SMARTSIGHT_CONTACT": "https://crawler.example.com/about",
        **web.injection(tmp_path),
    }


def test_a_hostile_web_is_crawled_to_its_end_with_the_right_code_for_every_item(
    fleet: Fleet, web: Web
) -> None:
    # What is no URL of the web is left out by `submit` already.
    crawl = [(url, code) for url, code in expected(web) if url.lower().startswith("http")]
    for _ in range(3):
        fleet.start_worker()
    started = time.monotonic()
    job = fleet.submit([url for url, _ in crawl])
    fleet.wait_for(job, patience=_BOUND)
    print(f"crawled {len(crawl)} URLs in {time.monotonic() - started:.0f} s")
    fleet.check_invariants(job)
    rows = fleet.rows(job)
    wrong = [
        (row["ref"], code, row["code"], row["message"])
        for row, (_, code) in zip(rows, crawl, strict=True)
        if row["code"] != code
    ]
    assert wrong == []
    assert all((row["state"] == "skipped") == (row["code"] in _SKIPPED) for row in rows)
    _check_nobody_got_inside(web)
    _check_manners(web)


def _check_nobody_got_inside(web: Web) -> None:
    assert web.observed(TRAP).connections == 0
    assert web.observed(MIXED).connections == 0


def _check_manners(web: Web) -> None:
    for host in HOSTS:
        seen = web.observed(host)
        # Not connections: a busy server may notice late that one was closed, when the next is there already.
        assert seen.most_requests <= _CONNECTIONS, host
        # A connection that is closed while it is used again is made anew by the HTTP client at once.
        if not host.startswith("closed"):
            _check_pauses(seen, host)
        for request in seen.seen:
            assert request.headers["user-agent"].endswith("(+https://crawler.example.com/about)")
            assert request.headers["accept-encoding"] == "identity"
            assert "cookie" not in request.headers


def _check_pauses(seen: Observed, host: str) -> None:
    """Between any two requests there must be as many pauses as there are requests from one to the other."""
    starts = [request.started for request in seen.seen if request.target != ROBOTS]
    for (first, earlier), (last, later) in combinations(enumerate(starts), 2):
        assert later - earlier >= (last - first) * _DELAY - _BLUR, host


def test_robots_txt_is_asked_for_once_by_the_whole_fleet_and_before_anything_else(
    fleet: Fleet, web: Web
) -> None:
    host = "robots-private.example.org"
    for _ in range(2):
        fleet.start_worker()
    job = fleet.submit(web.urls(host, "ok", 12))
    fleet.wait_for(job, patience=90)
    seen = web.observed(host)
    assert seen.seen[0].target == "/robots.txt"
    assert seen.requests["/robots.txt"] == 1
    assert [row["state"] for row in fleet.rows(job)] == ["succeeded"] * 12


def test_a_name_that_changes_its_address_gets_nobody_inside(fleet: Fleet, web: Web) -> None:
    fleet.start_worker()
    job = fleet.submit(rebinding(web))
    fleet.wait_for(job, patience=90)
    _check_nobody_got_inside(web)


def test_a_worker_that_dies_takes_no_host_and_no_image_with_it(fleet: Fleet, web: Web) -> None:
    """Its hosts are held for a while still; then another one finds all that waited there."""
    hosts = [f"good-{number:02}.example.com" for number in range(1, 5)]
    urls = [url for host in hosts for url in web.urls(host, "ok", 10)]
    victim, _ = fleet.start_worker(), fleet.start_worker()
    job = fleet.submit(urls)
    wait_until(lambda: fleet.done(job) >= 10, 60, "the crawl to be under way")
    fleet.kill_child(victim)
    victim.kill()
    fleet.wait_for(job)
    fleet.check_invariants(job)
    assert [row["state"] for row in fleet.rows(job)] == ["succeeded"] * len(urls)
    for host in hosts:
        _check_pauses(web.observed(host), host)


def test_one_large_host_holds_up_no_other(fleet: Fleet, web: Web) -> None:
    """All of the large host's URLs come first; those of others are done long before it is."""
    large, small = web.urls("good-01.example.com", "ok", 30), web.urls("good-02.example.com", "ok", 3)
    job = fleet.submit([*large, *small])
    fleet.start_worker()
    fleet.wait_for(job, patience=90)
    fleet.check_invariants(job)
    times = dict(
        fleet.query("SELECT host, max(finished_at) FROM results WHERE job_id = %s GROUP BY host", job)
    )
    first = fleet.query("SELECT min(finished_at) FROM results WHERE job_id = %s", job)[0][0]
    small_took = (times["good-02.example.com"] - first).total_seconds()
    large_took = (times["good-01.example.com"] - first).total_seconds()
    assert small_took < large_took / 2
