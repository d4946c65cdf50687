"""The web fetcher against a hostile web on this machine: past the gates, within the limits."""

import asyncio
import resource
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest

from shared.errors import Code, ItemError
from shared.fetching import guard as gates
from shared.fetching.fetcher import Fetched, FetchRequest, FetchResponse, NotModified, Redirected
from shared.fetching.guard import Guard
from shared.fetching.session import open_session
from shared.fetching.web import WebFetcher, WebLimits
from shared.items import Validators
from tests.servers.names import FakeResolver
from tests.servers.opening import opened
from tests.servers.web import TRAP, Web
from tests.servers.web_hosts import INSIDE, MIXED, REBINDING
from tests.unit.test_urls import SIGNED

T = TypeVar("T")

_LIMIT = 2_000_000
#: For what comes, however busy the machine is, and for what never does, in seconds.
_TIMEOUT, _SHORT_TIMEOUT = 30.0, 1.0
_GOOD = "good-01.example.com"
_STRANGE = "strange.example.net"


@pytest.fixture
def names(web: Web, monkeypatch: pytest.MonkeyPatch) -> FakeResolver:
    """Let the guard find the tests' web, and open just its addresses."""
    resolver = FakeResolver(web.names)
    monkeypatch.setattr(gates, "system_resolver", lambda: resolver)
    monkeypatch.setattr(Guard, "allows", opened(Guard.allows, web.open))
    return resolver


def _with_fetcher(
    web: Web,
    ask: Callable[[WebFetcher], "asyncio.Future[T]"],
    timeout: float = _TIMEOUT,
    limit: int = _LIMIT,
) -> T:
    async def run() -> T:
        limits = WebLimits(limit, timeout, frozenset({"JPEG", "PNG"}))
        fetcher = WebFetcher(Guard((80, 443, web.port)), limits, "SmartSightBot/1 (+https://x.example.com)")
        try:
            return await ask(fetcher)
        finally:
            await fetcher.close()

    return asyncio.run(run())


def _fetch(
    web: Web, host: str, path: str, known: Validators | None = None, timeout: float = _TIMEOUT
) -> FetchResponse:
    request = FetchRequest(web.url(host, path), known)
    return _with_fetcher(web, lambda fetcher: fetcher.fetch(request), timeout)  # type: ignore[arg-type, return-value]


def _failure(web: Web, host: str, path: str, timeout: float = _TIMEOUT) -> ItemError:
    with pytest.raises(ItemError) as caught:
        _fetch(web, host, path, timeout=timeout)
    return caught.value


@pytest.mark.usefixtures("names")
def test_an_image_is_returned_with_where_it_came_from(web: Web) -> None:
    fetched = _fetch(web, _GOOD, "/ok/1#part")
    assert isinstance(fetched, Fetched)
    assert len(fetched.read()) > 1000
    assert (fetched.final_url, fetched.http_status) == (web.url(_GOOD, "/ok/1"), 200)


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize(
    ("host", "path", "code"),
    [
        (_STRANGE, "/gzip/1", Code.ENCODING_UNSUPPORTED),  # case 65
        (_STRANGE, "/claim/1", Code.TOO_MANY_BYTES),  # 66
        (_STRANGE, "/endless-body/1", Code.TOO_MANY_BYTES),  # 67
        (_STRANGE, "/drip/1", Code.FETCH_TIMEOUT),  # 68
        (_STRANGE, "/hang/1", Code.FETCH_TIMEOUT),  # 69
        (_STRANGE, "/endless-headers/1", Code.HTTP_INVALID),  # 70
        (_STRANGE, "/header-drip/1", Code.FETCH_TIMEOUT),  # 71
        (_STRANGE, "/continue/1", Code.FETCH_TIMEOUT),  # 71
        (_STRANGE, "/short/1", Code.FETCH_FAILED),  # 72
        (_STRANGE, "/old/1", Code.HTTP_INVALID),  # 73
        (_STRANGE, "/garbage/1", Code.HTTP_INVALID),
        (_STRANGE, "/closed/1", Code.FETCH_FAILED),
        (_STRANGE, "/reset/1", Code.FETCH_FAILED),
        (_STRANGE, "/status/404", Code.HTTP_404),
        (_STRANGE, "/status/408", Code.HTTP_408),
        ("tag-noai.example.org", "/ok/1", Code.OPTED_OUT),
        ("shut.example.net", "/ok/1", Code.CONNECT_FAILED),
        ("nowhere.example.net", "/ok/1", Code.DNS_FAILED),  # 56
    ],
)
def test_each_failure_has_its_code_and_says_where(web: Web, host: str, path: str, code: Code) -> None:
    timeout = _SHORT_TIMEOUT if code is Code.FETCH_TIMEOUT else _TIMEOUT
    failure = _failure(web, host, path, timeout)
    assert failure.code is code
    assert failure.final_url == web.url(host, path)
    assert "127." not in failure.detail


@pytest.mark.parametrize("name", sorted(INSIDE))  # cases 51 to 55
def test_a_name_that_leads_inside_is_refused_and_nobody_is_called(
    web: Web, names: FakeResolver, name: str
) -> None:
    failure = _failure(web, name, "/ok/1")
    assert (failure.code, failure.detail) == (Code.URL_NOT_ALLOWED, "")
    assert names.calls[name] == 1
    assert web.observed(TRAP).connections == web.observed(MIXED).connections == 0


@pytest.mark.parametrize("name", REBINDING)  # case 57
def test_a_second_answer_that_leads_inside_is_refused(web: Web, names: FakeResolver, name: str) -> None:
    assert isinstance(_fetch(web, name, "/ok/1"), Fetched)
    assert _failure(web, name, "/ok/2").code is Code.URL_NOT_ALLOWED
    assert names.calls[name] == 2
    assert web.observed(TRAP).connections == 0


def test_an_address_in_the_url_meets_the_gate_where_sockets_are_made(web: Web, names: FakeResolver) -> None:
    """Case 58: the HTTP client asks no resolver for an address, so that gate alone would be a hole."""

    async def ask() -> None:
        async with (
            open_session(Guard((web.port,)), "TestBot/1") as session,
            session.get(f"http://127.66.6.6:{web.port}/ok/1"),
        ):
            pass

    with pytest.raises(OSError, match="Cannot connect") as caught:
        asyncio.run(ask())
    assert isinstance(caught.value.os_error, gates.NotAllowedError)  # type: ignore[attr-defined]
    assert names.calls.total() == 0
    assert web.observed(TRAP).connections == 0


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize(  # cases 59 to 61
    "word",
    ["metadata", "loopback6", "trap", "number", "file", "gopher", "data", "private", "user", "port"],
)
def test_a_redirect_meets_the_first_gate(web: Web, word: str) -> None:
    assert _failure(web, "moved.example.net", f"/redirect/{word}").code is Code.URL_NOT_ALLOWED


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize("word", ["private-name", "trap-name"])  # case 62
def test_where_a_redirect_leads_meets_the_other_gates(web: Web, word: str) -> None:
    answer = _fetch(web, "moved.example.net", f"/redirect/{word}")
    assert isinstance(answer, Redirected)
    request = FetchRequest(answer.url)
    with pytest.raises(ItemError) as caught:
        _with_fetcher(web, lambda fetcher: fetcher.fetch(request))  # type: ignore[arg-type, return-value]
    assert caught.value.code is Code.URL_NOT_ALLOWED
    assert web.observed(TRAP).connections == 0


@pytest.mark.usefixtures("names")
def test_a_relative_redirect_is_made_absolute(web: Web) -> None:  # case 63
    answer = _fetch(web, "moved.example.net", "/redirect/relative")
    assert isinstance(answer, Redirected)
    assert answer.url.startswith(web.url("moved.example.net", "/"))


@pytest.mark.usefixtures("names")
def test_a_redirect_leads_where_its_bytes_say(web: Web) -> None:
    answer = _fetch(web, _STRANGE, "/moved-latin1/1")
    assert isinstance(answer, Redirected)
    assert answer.url == web.url(_STRANGE, "/ok/caf%E9%201.jpg")


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize("target", SIGNED)
def test_a_signed_url_is_sent_letter_for_letter(web: Web, target: str) -> None:
    with suppress(ItemError):  # most paths are none of the web's
        _fetch(web, _GOOD, target)
    assert list(web.observed(_GOOD).requests) == [target]


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize("target", SIGNED)
def test_a_redirect_is_followed_letter_for_letter(web: Web, target: str) -> None:
    answer = _fetch(web, "moved.example.net", f"/to/{target.encode().hex()}")
    assert isinstance(answer, Redirected)
    with suppress(ItemError):
        _with_fetcher(web, lambda fetcher: fetcher.fetch(FetchRequest(answer.url)))  # type: ignore[arg-type, return-value]
    assert list(web.observed("moved.example.net").requests)[1:] == [target]


def test_the_cases_of_signed_urls_are_sent_letter_for_letter(
    web: Web, names: FakeResolver, test_data: Path
) -> None:
    targets = (test_data / "cases" / "signed-urls.txt").read_text().split()
    for target in targets:
        assert _failure(web, _GOOD, target).code is Code.HTTP_404
    assert list(web.observed(_GOOD).requests) == targets
    assert names.calls[_GOOD] == len(targets)


@pytest.mark.usefixtures("names")
def test_nothing_is_read_on_that_begins_like_no_image(web: Web) -> None:  # case 74
    request = FetchRequest(web.url(_STRANGE, "/html/1"))
    with pytest.raises(ItemError) as caught:
        _with_fetcher(web, lambda fetcher: fetcher.fetch(request), limit=20_000_000)  # type: ignore[arg-type, return-value]
    assert (caught.value.code, caught.value.http_status) == (Code.NOT_AN_IMAGE, 200)
    assert web.observed(_STRANGE).sent["/html/1"] < 2_000_000


@pytest.mark.usefixtures("names")
def test_a_bomb_is_not_unpacked(web: Web) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _failure(web, _STRANGE, "/gzip/1")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000  # kilobytes; it has 50 MB


@pytest.mark.usefixtures("names")
@pytest.mark.parametrize("path", ["/etag/1", "/modified/1"])
def test_what_is_known_is_asked_for_as_such(web: Web, path: str) -> None:
    host = "fresh.example.com"
    fetched = _fetch(web, host, path)
    assert isinstance(fetched, Fetched)
    assert fetched.validators is not None
    assert _fetch(web, host, path, fetched.validators) == NotModified(web.url(host, path))
    other = Validators(web.url(host, "/ok/1"), fetched.validators.etag, fetched.validators.last_modified)
    assert isinstance(_fetch(web, host, path, other), Fetched)
    assert web.observed(host).not_modified == 1


@pytest.mark.usefixtures("names")
def test_a_robot_says_who_it_is_and_nothing_else(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.66.6.6:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.66.6.6:1")
    _fetch(web, _GOOD, "/ok/1")
    (seen,) = web.observed(_GOOD).seen
    assert set(seen.headers) == {"host", "user-agent", "accept", "accept-encoding"}
    assert seen.headers["user-agent"] == "SmartSightBot/1 (+https://x.example.com)"


@pytest.mark.usefixtures("names")
def test_a_page_is_cut_off(web: Web) -> None:
    def ask(fetcher: WebFetcher) -> "asyncio.Future[tuple[int, bytes] | Redirected]":
        url = web.url("robots-huge.example.org", "/robots.txt")
        return fetcher.fetch_text(url, 1000, lambda: None)  # type: ignore[return-value]

    answer = _with_fetcher(web, ask)
    assert isinstance(answer, tuple)
    assert (answer[0], len(answer[1])) == (200, 1000)
