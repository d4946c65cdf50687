"""How the head of a response is read: what is odd but clear is taken, what is not clear is refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Code, ItemError
from shared.fetching.responses import MAX_HEAD, ChunkReader, HeadReader, ResponseHead, parse_head


def _head(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK") -> ResponseHead:
    return parse_head(b"\r\n".join([status, *lines, b"", b""]))


def _plain(*lines: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 ", *lines, b"", b""])


def test_a_head_as_it_should_be_has_the_fields_that_are_read_and_no_others() -> None:
    head = _head(
        b"Content-Length: 9", b'ETag:\t"x" ', b"Set-Cookie: a=b", b"X-Robots-Tag: a", b"x-robots-tag: b"
    )
    assert head == ResponseHead(
        200, 9, False, _plain(b'etag: "x"', b"x-robots-tag: a", b"x-robots-tag: b", b"content-length: 9")
    )


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 9", b"Content-Length: 9"],
        [b"Content-Length: 9, 9"],
        [b"Content-Length: 9", b"no colon"],
        [b"no colon", b"Content-Length: 9"],
        [b"Content-Length : 9"],
        [b"Content-Length:", b" 9"],
        [b"Content-Length: 9", b": nameless"],
        [b"Content-Length: 9", b"two words: x"],
        [b"Content-Length: 9", "näme: x".encode()],
        [b"Content-Length: 9", b"Content-Length: many"],
        [b"Content-Length: 9", b"Transfer-Encoding: identity"],
        [b"Content-Length: 9", b"ETag: \0"],
        [b"Content-Length: 9", b"ETag: a\rContent-Length: 8"],
        [b"Content-Length: 9", b"Connection: keep-alive", b"no colon"],
    ],
)
def test_what_is_odd_but_clear_is_taken_and_ends_the_connection(lines: list[bytes]) -> None:
    head = _head(*lines)
    assert (head.length, head.is_chunked) == (9, False)
    assert b"connection: close\r\n" in head.plain
    assert b"keep-alive" not in head.plain
    assert head.plain.count(b"content-length: 9\r\n") == head.plain.count(b"content-length") == 1


@pytest.mark.parametrize(
    ("lines", "is_odd"),
    [
        ([b"Transfer-Encoding: chunked"], False),
        ([b"Transfer-Encoding: Chunked", b"Content-Length: 9"], True),
        ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], True),
        ([b"Transfer-Encoding: identity, chunked"], True),
        ([b"Transfer-Encoding : chunked"], True),
    ],
)
def test_chunks_come_before_any_length(lines: list[bytes], is_odd: bool) -> None:
    head = _head(*lines)
    assert (head.length, head.is_chunked) == (None, True)
    assert (b"connection: close" in head.plain) is is_odd
    assert b"content-length" not in head.plain


@pytest.mark.parametrize("length", [b"", b"-1", b"+9", b"9.0", b"0x9", b"9" * 5000, "٩".encode()])
def test_a_length_that_is_none_leaves_the_end_to_the_connection(length: bytes) -> None:
    head = _head(b"Content-Length: " + length)
    assert (head.length, b"content-length" in head.plain) == (None, False)


@pytest.mark.parametrize(
    ("line", "plain", "is_odd"),
    [
        (b"HTTP/1.1 200", b"HTTP/1.1 200 ", False),
        (b"HTTP/1.0 404 Not Found", b"HTTP/1.0 404 ", False),
        (b"http/1.1  999 Request denied", b"HTTP/1.1 999 ", False),
        (b"HTTP/1.1 203 \xe4\xff\0", b"HTTP/1.1 203 ", False),
        (b"HTTP/2 200", b"HTTP/1.1 200 ", True),
        (b"HTTP/1.2 200 OK", b"HTTP/1.1 200 ", True),
        (b"HTTP/0.9 200OK", b"HTTP/1.0 200 ", True),
    ],
)
def test_status_lines(line: bytes, plain: bytes, is_odd: bool) -> None:
    head = _head(status=line)
    assert head.plain.split(b"\r\n")[0] == plain
    assert (b"connection: close" in head.plain) is is_odd


@pytest.mark.parametrize("status", [101, 204, 304])
def test_some_statuses_have_no_body(status: int) -> None:
    head = _head(b"Transfer-Encoding: chunked", status=b"HTTP/1.1 %d" % status)
    assert (head.length, head.is_chunked) == (0, False)
    assert b"chunked" not in head.plain


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ([b"Content-Length: 9", b"Content-Length: 8"], "Content-Length"),
        ([b"Content-Length: 9, 8"], "Content-Length"),
        ([b"Transfer-Encoding: gzip, chunked"], "Transfer-Encoding"),
        ([b"Transfer-Encoding: x"], "Transfer-Encoding"),
        ([b"a:b"] * 2001, "header lines"),
    ],
)
def test_what_is_not_clear_is_refused_and_named(lines: list[bytes], what: str) -> None:
    with pytest.raises(ItemError, match=what) as caught:
        _head(*lines)
    assert caught.value.code is Code.HTTP_INVALID
    assert not caught.value.code.transient


@pytest.mark.parametrize(
    "beginning",
    [b"\x89PNG\r\n\r\n", b"<html>", b"ICY 200 OK\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n", b"HTTP/1.1\r\n\r\n"],
)
def test_what_is_no_head_is_refused_as_soon_as_it_is_seen(beginning: bytes) -> None:
    with pytest.raises(ItemError) as caught:
        HeadReader().feed(beginning)
    assert caught.value.code is Code.HTTP_INVALID


def test_a_head_may_be_as_long_as_in_browsers_and_no_longer() -> None:
    before = b"HTTP/1.1 200 OK\r\nX-Long: "
    reader = HeadReader()
    assert reader.feed(before + b"x" * (MAX_HEAD - len(before))) is None
    with pytest.raises(ItemError, match="longer"):
        reader.feed(b"x")
    head = HeadReader().feed(before + b"x" * 65_536 + b"\r\n" + b"X-More: y\r\n" * 900 + b"\r\n")
    assert head == ResponseHead(200, None, False, _plain())


def test_interim_responses_are_not_endless() -> None:
    with pytest.raises(ItemError, match="interim"):
        HeadReader().feed(b"HTTP/1.1 100 Continue\r\n\r\n" * 1001)


@given(st.sampled_from((b"\r\n", b"\n")), st.lists(st.integers(1, 30), min_size=1, max_size=20))
def test_a_head_is_found_however_it_comes(end: bytes, sizes: list[int]) -> None:
    lines = [
        b"HTTP/1.1 103 Early",
        b"Link: x",
        b"",
        b"HTTP/1.1 100",
        b"",
        b"",
        b"HTTP/1.1 200 OK",
        b"ETag: x",
        b"",
        b"",
    ]
    data = end.join([b"", *lines]) + b"\n\nbody"
    reader, start, size = HeadReader(), 0, 0
    while (head := reader.feed(data[start : (start := start + sizes[size % len(sizes)])])) is None:
        size += 1
    assert head == ResponseHead(200, None, False, _plain(b"etag: x"))
    assert reader.rest + data[start:] == b"\n\nbody"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_or_refused(data: bytes) -> None:
    with suppress(ItemError):
        head = parse_head(b"HTTP/1.1 200 OK\r\n" + data + b"\r\n\r\n")
        assert head.plain.endswith(b"\r\n\r\n")
        assert head.plain.count(b"\r\n\r\n") == 1
        assert b"\0" not in head.plain


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=5), st.booleans(), st.integers(1, 40))
def test_chunks_are_read_however_they_come(chunks: list[bytes], is_plain: bool, size: int) -> None:
    end = b"\r\n" if is_plain else b"\n"
    parts = [
        *(b"%X ;a=b%s%s" % (len(chunk), end, chunk) for chunk in chunks),
        b"000",
        b"Trailer: x",
        b"",
        b"more",
    ]
    data, reader, body, at = end.join(parts), ChunkReader(), b"", 0
    while not reader.is_over:
        body += reader.feed(data[at : at + size])
        at += size
    assert (body, reader.rest + data[at:]) == (b"".join(chunks), b"more")
    assert (reader.is_whole, reader.is_odd) == (True, not is_plain)


@pytest.mark.parametrize(
    "data", [b"zz\r\n", b"\r\n", b"-1\r\n", b"0x1\r\n", b"1\r\nxy\r\n", b"f" * 16 + b"\r\n"]
)
def test_chunks_that_are_not_clear_are_refused(data: bytes) -> None:
    with pytest.raises(ItemError) as caught:
        ChunkReader().feed(data)
    assert caught.value.code is Code.HTTP_INVALID


def test_chunks_that_take_more_time_than_they_hold_are_refused() -> None:
    reader = ChunkReader()
    assert len(reader.feed(b"1\r\nx\r\n" * 10_000)) == 10_000
    with pytest.raises(ItemError, match="smaller"):
        reader.feed(b"1\r\nx\r\n")
    assert len(ChunkReader().feed(b"20\r\n%s\r\n" % (b"x" * 32) * 20_000)) == 640_000


@pytest.mark.parametrize(
    "data", [b"1" * (MAX_HEAD + 1), b"0\r\n" + b"a:b\r\n" * MAX_HEAD, b"0\r\n" + b"a" * (MAX_HEAD + 9)]
)
def test_nothing_between_chunks_is_endless(data: bytes) -> None:
    with pytest.raises(ItemError, match="longer"):
        ChunkReader().feed(data)
