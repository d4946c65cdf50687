"""The tests' own web is as hostile as the tests of fetching believe, and lets nobody hold it up."""

import gzip
import socket
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from tests.servers.waiting import wait_until
from tests.servers.web import Web
from tests.servers.web_callers import get, get_raw
from tests.servers.web_hosts import GOOD

_HOST = GOOD[0]


@pytest.mark.parametrize(
    ("kind", "begins", "end"),
    [
        ("old", b"\x89PNG", "closed"),
        ("garbage", bytes(range(256)), "closed"),
        ("short", b"HTTP/1.1 200 ", "closed"),
        ("moved-latin1", b"HTTP/1.1 302 ", "closed"),
        ("flaky-short", b"HTTP/1.1 200 ", "closed"),
        ("endless-body", b"HTTP/1.1 200 ", "enough"),
        ("endless-headers", b"HTTP/1.1 200 Status\r\nX-More: ", "enough"),
    ],
)
def test_attacks_that_send(web: Web, kind: str, begins: bytes, end: str) -> None:
    content, ended = get_raw(web, _HOST, f"/{kind}/1", wanted=1_000_000)
    assert content.startswith(begins)
    assert ended == end


@pytest.mark.parametrize(("kind", "end"), [("closed", "closed"), ("hang", "late")])
def test_attacks_that_say_nothing(web: Web, kind: str, end: str) -> None:
    assert get_raw(web, _HOST, f"/{kind}/1", seconds=0.5) == (b"", end)


def test_a_reset_is_one(web: Web) -> None:
    assert get_raw(web, _HOST, "/reset/1")[1] == "reset"


def test_a_claim_is_larger_than_what_comes(web: Web) -> None:
    content, end = get_raw(web, _HOST, "/claim/1", seconds=1.5)
    assert b"Content-Length: 999999999999\r\n" in content
    assert (len(content) < 1_000_000, end) == (True, "late")


@pytest.mark.parametrize(
    ("kind", "wanted", "last"),
    [("drip", 75, b"\r\n\r\n\x89PN"), ("header-drip", 3, b"HTT"), ("continue", 75, b"Continue\r\n\r\n")],
)
def test_some_answers_come_in_drops(web: Web, kind: str, wanted: int, last: bytes) -> None:
    content, end = get_raw(web, _HOST, f"/{kind}/1", wanted)
    assert end == "enough"
    assert last in content
    assert len(content) < wanted + 1000


def test_a_bomb_is_small_and_becomes_large(web: Web) -> None:
    _, headers, body = get(web, web.url(_HOST, "/gzip/1"), **{"Accept-Encoding": "identity"})
    assert headers["Content-Encoding"] == "gzip"
    assert len(body) < 100_000
    assert gzip.decompress(body) == bytes(50_000_000)


def test_what_is_cut_short_once_is_whole_then(web: Web) -> None:
    url = web.url(_HOST, "/flaky-short/1")
    with pytest.raises(aiohttp.ClientPayloadError):
        get(web, url)
    assert len(get(web, url)[2]) == int(get(web, url)[1]["Content-Length"])


def test_closing_waits_for_nobody(samples: Path) -> None:
    with closing(Web(samples)) as web:
        callers = [socket.create_connection((web.address_of(_HOST), web.port)) for _ in range(60)]
        for caller, kind in zip(callers, ["hang"] * 20 + ["endless-body"] * 20, strict=False):
            caller.sendall(f"GET /{kind}/1 HTTP/1.1\r\nHost: {_HOST}:{web.port}\r\n\r\n".encode())
        observed = web.observed(_HOST)
        wait_until(lambda: (observed.open_connections, observed.open_requests) == (60, 40), 10, "the callers")
    assert (observed.open_connections, observed.open_requests) == (0, 0)
    for caller in callers:
        with closing(caller):
            caller.settimeout(5)
            assert _is_cut(caller)


def _is_cut(caller: socket.socket) -> bool:
    try:
        while caller.recv(1_000_000):
            pass  # what was on its way
    except ConnectionResetError:
        pass
    return True
