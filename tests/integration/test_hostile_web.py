"""The tests' own web does what the tests of fetching rely on."""

import asyncio
import io

import aiohttp
import pytest
from PIL import Image

from tests.servers.waiting import wait_until
from tests.servers.web import TRAP, Web
from tests.servers.web_answers import PAGE_SIZE, REDIRECTS, RULES_SIZE
from tests.servers.web_callers import get, get_raw, in_session
from tests.servers.web_hosts import GOOD, HOSTS, TRAPS
from tests.servers.web_observed import ROBOTS

_HOST = GOOD[0]


def test_pictures_are_good_and_all_different(web: Web) -> None:
    bodies = [get(web, web.url(host, f"/ok/{n}"))[2] for host in GOOD[:2] for n in range(2)]
    assert len(set(bodies)) == 4
    for body in bodies:
        Image.open(io.BytesIO(body)).load()


def test_a_picture_may_be_called_a_text(web: Web) -> None:
    status, headers, body = get(web, web.url(_HOST, "/plain/4"))
    assert (status, headers["Content-Type"]) == (200, "text/plain")
    assert body.startswith(b"\xff\xd8")


def test_each_host_has_its_own_address_and_answers_to_its_own_name_only(web: Web) -> None:
    assert web.address_of(GOOD[0]) != web.address_of(GOOD[1])
    wrong = f"http://{web.address_of(_HOST)}:{web.port}/ok/1"
    assert get(web, wrong)[0] == 421
    assert get(web, wrong, Host=f"{_HOST}:{web.port}")[0] == 200
    assert web.observed(_HOST).misdirected == 1


def test_what_goes_on_at_the_same_time_is_seen(web: Web) -> None:
    async def five(session: aiohttp.ClientSession) -> None:
        async def get(number: int) -> None:
            async with session.get(web.url(_HOST, f"/slow/{number}")) as answer:
                await answer.read()

        await asyncio.gather(*map(get, range(5)))
        await get(1)

    in_session(web, five)
    observed = web.observed(_HOST)
    assert (observed.most_requests, observed.most_connections) == (5, 5)
    assert observed.requests == {"/slow/1": 2, **{f"/slow/{number}": 1 for number in (0, 2, 3, 4)}}
    assert observed.pictures() == web.requests_in_all() == 6
    wait_until(lambda: observed.open_connections == 0, 5, "the connections' end")
    assert web.observed(GOOD[1]).connections == 0


def test_one_request_after_another_over_one_connection_is_seen_as_one(web: Web) -> None:
    async def two(session: aiohttp.ClientSession) -> None:
        for number in range(2):
            async with session.get(web.url(_HOST, f"/slow/{number}")) as answer:
                await answer.read()

    in_session(web, two)
    observed = web.observed(_HOST)
    assert (observed.most_requests, observed.most_connections, observed.connections) == (1, 1, 1)
    assert 0.5 <= observed.smallest_gap() < 5


def test_headers_are_kept(web: Web) -> None:
    get(web, web.url(_HOST, "/ok/1"), **{"User-Agent": "Someone/1.0"})
    assert [seen.headers["user-agent"] for seen in web.observed(_HOST).seen] == ["Someone/1.0"]


def test_how_much_of_a_page_was_taken_is_seen(web: Web) -> None:
    assert get_raw(web, _HOST, "/html/1", wanted=1)[0].startswith(b"HTTP/1.1 200 ")
    observed = web.observed(_HOST)
    wait_until(lambda: observed.open_requests == 0, 5, "the web to notice")
    assert 0 < observed.sent["/html/1"] < PAGE_SIZE * 0.75
    status, headers, body = get(web, web.url(_HOST, "/html/2"))
    assert (status, headers["Content-Type"]) == (200, "text/html")
    assert observed.sent["/html/2"] > len(body) > PAGE_SIZE * 0.99


@pytest.mark.parametrize("word", sorted(REDIRECTS))
def test_redirects_lead_where_they_should(web: Web, word: str) -> None:
    status, headers, _ = get(web, web.url("moved.example.net", f"/redirect/{word}"))
    assert status == 302
    assert headers["Location"] == REDIRECTS[word].replace("PORT", str(web.port))


def test_hops_are_counted(web: Web) -> None:
    async def follow(session: aiohttp.ClientSession) -> tuple[list[int], str]:
        async with session.get(web.url(_HOST, "/hops/5?to=/ok/7")) as answer:
            return [hop.status for hop in answer.history], answer.url.path

    assert in_session(web, follow) == ([308, 307, 303, 302, 301], "/ok/7")


@pytest.mark.parametrize("status", [204, 404, 500])
def test_statuses(web: Web, status: int) -> None:
    assert get(web, web.url(_HOST, f"/status/{status}"))[0] == status


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_host_asks_for_time_and_then_answers(web: Web, status: int) -> None:
    answers = [get(web, web.url(_HOST, f"/{status}/1?after=2&times=2")) for _ in range(3)]
    assert [answer[0] for answer in answers] == [status, status, 200]
    assert [answer[1].get("Retry-After") for answer in answers] == ["2", "2", None]


@pytest.mark.parametrize(
    ("path", "sends", "asks", "old"),
    [
        ("/etag/1", "ETag", "If-None-Match", '"other"'),
        ("/modified/1", "Last-Modified", "If-Modified-Since", "Mon, 01 Jan 2024 00:00:00 GMT"),
    ],
)
def test_what_is_known_is_not_sent_again(web: Web, path: str, sends: str, asks: str, old: str) -> None:
    url = web.url(_HOST, path)
    validator = get(web, url)[1][sends]
    assert get(web, url, **{asks: old})[0] == 200
    status, _, body = get(web, url, **{asks: validator})
    assert (status, body) == (304, b"")
    assert web.observed(_HOST).not_modified == 1


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        ("robots-private", 200, b"Disallow: /private/"),
        ("robots-us", 200, b"SmartSightBot"),
        ("robots-404", 404, b""),
        ("robots-500", 500, b""),
        ("robots-moved-5", 302, b""),
        ("robots-inside", 302, b""),
        ("robots-delay", 200, b"Crawl-delay: 1"),
        ("tag-noai", 404, b""),
    ],
)
def test_robots_txt(web: Web, name: str, status: int, text: bytes) -> None:
    host = f"{name}.example.org"
    found, _, body = get(web, web.url(host, ROBOTS))
    assert text in body
    assert found == (308 if name == "robots-moved-5" else status)
    assert web.observed(host).pictures() == 0


def test_a_huge_robots_txt_forbids_all_at_its_end(web: Web) -> None:
    body = get(web, web.url("robots-huge.example.org", ROBOTS))[2]
    assert body.endswith(b"\nDisallow: /\n")
    assert len(body) > RULES_SIZE * 0.99


def test_a_robots_txt_may_hang(web: Web) -> None:
    async def hasten(session: aiohttp.ClientSession) -> None:
        timeout = aiohttp.ClientTimeout(total=0.3)
        async with session.get(web.url("robots-hang.example.org", ROBOTS), timeout=timeout):
            pass

    with pytest.raises(TimeoutError):
        in_session(web, hasten)


@pytest.mark.parametrize(("name", "tag"), [(name, host.tag) for name, host in HOSTS.items() if host.tag])
def test_pictures_say_what_they_may_be_used_for(web: Web, name: str, tag: str) -> None:
    assert get(web, web.url(name, "/ok/1"))[1]["X-Robots-Tag"] == tag
    assert "X-Robots-Tag" not in get(web, web.url(name, ROBOTS))[1]


def test_a_stand_in_is_the_same_for_all(web: Web) -> None:
    moved = [get(web, url)[1]["Location"] for url in web.urls(_HOST, "gone", 3)]
    assert set(moved) == {web.url(_HOST, "/unavailable.png")}
    assert len({get(web, url)[2] for url in [moved[0], *web.urls(_HOST, "same", 3)]}) == 1


def test_what_comes_to_a_trap_is_seen(web: Web) -> None:
    for number, address in enumerate(TRAPS, start=1):
        assert get(web, f"http://{address}:{web.port}/ok/1")[0] == 421
        assert web.observed(TRAP).connections == number
