"""Responses as hosts write them, over sockets: what is taken or refused, and what ends a connection."""

import asyncio
import gzip
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.errors import Code, ItemError
from shared.fetching.fetcher import Fetched, FetchRequest, Redirected
from shared.fetching.guard import Guard
from shared.fetching.web import WebFetcher, WebLimits

_JPEG = b"\xff\xd8\xff" + bytes(range(256)) * 4
_OTHER = b"\xff\xd8\xff" + b"another one".ljust(200, b".")
_SIZE = b"Content-Length: %d" % len(_JPEG)


def _response(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK", body: bytes = _JPEG) -> bytes:
    return b"\r\n".join([status, *lines, b"", body])


_GOOD = _response(_SIZE)
_CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(_JPEG), _JPEG)


@dataclass
class Script:
    """A server that answers each request by the next of these pieces, which it sends one after another."""

    answers: Sequence[Sequence[bytes]]
    closes: bool = False
    connections: int = 0
    requests: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            with suppress(OSError, EOFError, asyncio.CancelledError):
                await self._answer_all(reader, writer)
        finally:
            writer.close()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            self.requests += 1
            for piece in self.answers[self.requests - 1]:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.02)  # so that it comes as a piece of its own
            if self.closes:
                break


async def _fetch(fetcher: WebFetcher, url: str) -> bytes:
    answer = await fetcher.fetch(FetchRequest(url))
    assert isinstance(answer, Fetched)
    return answer.read()


def _run(script: Script, ask: Callable[[WebFetcher, str], Any]) -> Any:
    async def run() -> Any:
        server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        limits = WebLimits(1_000_000, 10.0, frozenset({"JPEG"}))
        fetcher = WebFetcher(Guard((80,), [("127.0.0.1", port)]), limits, "TestBot/1")
        try:
            return await ask(fetcher, f"http://127.0.0.1:{port}/a.jpg")
        finally:
            await fetcher.close()
            server.close()
            for task in script.tasks:
                task.cancel()
            await asyncio.wait(script.tasks)

    return asyncio.run(run())


def _two(script: Script) -> tuple[bytes, bytes]:
    """Fetch twice, one after the other, and return both bodies."""

    async def ask(fetcher: WebFetcher, url: str) -> tuple[bytes, bytes]:
        first = await _fetch(fetcher, url)
        await asyncio.sleep(0.1)  # what comes late has come by then
        return first, await _fetch(fetcher, url)

    return _run(script, ask)  # type: ignore[no-any-return]


def _failure(answer: bytes, closes: bool = False) -> tuple[ItemError, Script]:
    async def ask(fetcher: WebFetcher, url: str) -> ItemError:
        with pytest.raises(ItemError) as caught:
            await _fetch(fetcher, url)
        return caught.value

    script = Script([[answer]] * 5, closes)
    return _run(script, ask), script


@pytest.mark.parametrize(
    "coding", [b"none", b"utf-8", b"", b"binary", b"identity", b"image/jpeg", b"gzip", b"br", "ä".encode()]
)
def test_plain_bytes_are_taken_whatever_content_encoding_says(coding: bytes) -> None:
    answer = _response(_SIZE, b"Content-Encoding: " + coding)
    assert _two(Script([[answer]] * 2)) == (_JPEG, _JPEG)


_RULES = b"User-agent: *\nDisallow: /\n"


def _page(answer: bytes, limit: int = 1000) -> tuple[int, bytes] | Redirected:
    async def ask(fetcher: WebFetcher, url: str) -> tuple[int, bytes] | Redirected:
        return await fetcher.fetch_text(url, limit, lambda: None)

    return _run(Script([[answer]], closes=True), ask)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "answer",
    [
        _response(body=_RULES),
        _response(body=_RULES, status=b"HTTP/1.1 203"),
        _response(b"Content-Encoding: gzip", body=gzip.compress(_RULES)),
        _response(body=gzip.compress(_RULES)),
        _response(b"Content-Encoding: br", body=_RULES),
        _response(b"Content-Encoding: utf-8", body=_RULES),
    ],
    ids=range(6),
)
def test_a_robots_txt_is_read_however_it_is_packed(answer: bytes) -> None:
    assert _page(answer) == (200, _RULES)


def test_a_page_is_unpacked_to_its_limit() -> None:
    assert _page(_response(body=gzip.compress(bytes(9_000_000))), 20_000) == (200, bytes(20_000))


@pytest.mark.parametrize("body", [b"\x8b\x0d\x80User", b"\x1f\x8b broken"])
def test_a_page_that_cannot_be_unpacked_is_no_empty_page(body: bytes) -> None:
    with pytest.raises(ItemError) as caught:
        _page(_response(b"Content-Encoding: br", body=body))
    assert caught.value.code is Code.ENCODING_UNSUPPORTED


@pytest.mark.parametrize(
    "answer",
    [
        _GOOD,
        _response(_SIZE, status=b"HTTP/1.1 203 Non-Authoritative Information"),
        _response(_SIZE, status=b"HTTP/1.1 226 IM Used"),
        _response(
            _SIZE, b"Content-Range: bytes 0-%d/%d" % (len(_JPEG) - 1, len(_JPEG)), status=b"HTTP/1.1 206"
        ),
        _response(_SIZE, b"Content-Security-Policy: " + b"x" * 65_536),
        _response(*(b"X-Header-%d: %s" % (i, b"y" * 100) for i in range(900)), _SIZE),
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + _GOOD,
        _response(b"Transfer-Encoding: chunked", body=_CHUNKED),
        _response(b"Connection: keep-alive", _SIZE, status=b"HTTP/1.0 200 OK"),
    ],
    ids=range(9),
)
def test_what_is_right_is_taken_and_the_connection_kept(answer: bytes) -> None:
    script = Script([[answer], [_GOOD]])
    assert _two(script) == (_JPEG, _JPEG)
    assert script.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        _response(_SIZE, _SIZE),
        _response(_SIZE, b"a line without a colon"),
        _response(b"Content-Length : %d" % len(_JPEG)),
        _response(_SIZE, b"X-Folded: a", b"  b"),
        _response(_SIZE, b"Transfer-Encoding: chunked", body=_CHUNKED),
        _response(_SIZE, status=b"HTTP/2 200"),
        _GOOD + b"surplus",
        _GOOD + _response(b"Content-Length: %d" % len(_OTHER), body=_OTHER),
        _response(b"Transfer-Encoding: chunked", body=_CHUNKED) + b"surplus\r\n\r\n",
        _response(b"Transfer-Encoding: chunked", body=_CHUNKED) + b"HTTP/1.1 200 OK\r\nConte",
        _response(b"Transfer-Encoding: chunked", body=_CHUNKED) + _GOOD,
        _response(b"Transfer-Encoding: chunked", body=b"%x\n%s\n0\n\n" % (len(_JPEG), _JPEG)),
    ],
    ids=range(12),
)
def test_what_is_odd_is_taken_and_the_connection_is_not_used_again(answer: bytes) -> None:
    script = Script([[answer], [_response(b"Content-Length: %d" % len(_OTHER), body=_OTHER)]])
    assert _two(script) == (_JPEG, _OTHER)
    assert script.connections == 2


@pytest.mark.parametrize("beginning", [_GOOD, _response(b"Transfer-Encoding: chunked", body=_CHUNKED)])
@pytest.mark.parametrize("late", [_GOOD, b"HTTP/1.1 200 OK\r\nContent-Le", b"x", b"\r\nx", b"0\r\n\r\n"])
def test_what_nobody_asked_for_is_no_answer_to_the_next_request(beginning: bytes, late: bytes) -> None:
    end = beginning.index(b"\r\n\r\n") + 4
    other = _response(b"Content-Length: %d" % len(_OTHER), body=_OTHER)
    for pieces in (
        [beginning, late],
        [beginning[:end], beginning[end:] + late],
        [beginning[:-1], beginning[-1:] + late],
    ):
        script = Script([pieces, [other]])
        assert _two(script) == (_JPEG, _OTHER)
        assert script.connections == 2


def test_a_body_is_complete_with_its_last_chunk() -> None:
    answer = _response(b"Transfer-Encoding: chunked", body=_CHUNKED[:-2])
    assert _two(Script([[answer]] * 2, closes=True)) == (_JPEG, _JPEG)


@pytest.mark.parametrize("line", [b"Content-Length: -1", b"Content-Length: many", b"X: y"])
def test_a_body_without_a_length_ends_with_its_connection(line: bytes) -> None:
    script = Script([[_response(line)]] * 2, closes=True)
    assert _two(script) == (_JPEG, _JPEG)


def test_an_answer_may_come_before_the_request() -> None:
    class Hasty(Script):
        async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(_response(_SIZE, b"Connection: close"))
            await reader.read()

    assert _two(Hasty([])) == (_JPEG, _JPEG)


def test_pieces_of_any_size_are_one_answer() -> None:
    pieces = [bytes([byte]) for byte in _response(_SIZE, b"no colon")[:80]] + [
        _response(_SIZE, b"no colon")[80:]
    ]
    assert _two(Script([pieces, [_GOOD]])) == (_JPEG, _JPEG)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (_response(_SIZE, b"Content-Length: 5"), "Content-Length is b'1027 and 5'"),
        (_response(b"Transfer-Encoding: gzip, chunked"), "Transfer-Encoding is b'gzip, chunked'"),
        (_response(b"X: " + b"y" * 300_000), "longer than"),
        (_response(*[b"a: b"] * 3000), "header lines"),
        (_response(status=b"HTTP/1.1 2000 OK"), "status line is b'HTTP/1.1 2000 OK"),
        (_JPEG, "begins with"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "begins with b'SSH-2.0"),
        (_response(b"Transfer-Encoding: chunked", body=b"zz\r\n" + _JPEG), "size of a chunk is b'zz'"),
        (_response(b"Transfer-Encoding: chunked", body=b"3\r\nabcdef\r\n0\r\n\r\n"), "chunk"),
    ],
)
def test_what_cannot_be_read_is_refused_for_good_and_named(answer: bytes, says: str) -> None:
    failure, script = _failure(answer)
    assert failure.code is Code.HTTP_INVALID
    assert says in failure.detail
    assert script.requests == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (_response(_SIZE, status=b"HTTP/1.1 999 Request denied"), Code.HTTP_UNEXPECTED),
        (_response(_SIZE, status=b"HTTP/1.1 600"), Code.HTTP_UNEXPECTED),
        (_response(status=b"HTTP/1.1 101 Switching Protocols"), Code.HTTP_UNEXPECTED),
        (_response(_SIZE, b"Content-Range: bytes 0-5/9", status=b"HTTP/1.1 206"), Code.HTTP_UNEXPECTED),
        (
            _response(b"Content-Encoding: gzip", b"Content-Length: 100", body=b"\x1f\x8b" * 50),
            Code.ENCODING_UNSUPPORTED,
        ),
        (_response(b"Content-Encoding: utf-8", b"Content-Length: 100", body=b"<p>" * 40), Code.NOT_AN_IMAGE),
    ],
)
def test_what_is_refused_says_so_once(answer: bytes, code: Code) -> None:
    failure, script = _failure(answer)
    assert (failure.code, failure.code.transient, script.requests) == (code, False, 1)


@pytest.mark.parametrize(
    "answer", [b"", _GOOD[:20], _GOOD[:-1], _response(b"Transfer-Encoding: chunked", body=_CHUNKED[:-5])]
)
def test_what_breaks_off_may_be_tried_again(answer: bytes) -> None:
    failure, _ = _failure(answer, closes=True)
    assert failure.code is Code.FETCH_FAILED
