"""What is found in a WARC file, and what becomes of a damaged one."""

import gzip
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer.references import Entry, ListColumns, MalformedEntry, Reference
from producer.sources import is_list, read_list
from shared.errors import Code, ItemError, ResourceError, SmartSightError, UsageError
from shared.fetching.warc import WarcFetcher
from shared.warc import is_warc_reference, parse_warc_reference
from tests.crawls import JPEG, Crawl, bomb, chunked, raw_deflated

_LIMIT = 1 << 20

both_kinds = pytest.mark.parametrize("name", ["crawl.warc", "crawl.warc.gz"])


def _entries(source: str) -> list[Entry]:
    return list(read_list(source, ListColumns()))


def _refs(source: str) -> list[str]:
    return [entry.ref for entry in _entries(source) if isinstance(entry, Reference)]


def _failure(source: str) -> SmartSightError:
    with pytest.raises(SmartSightError) as caught:
        _entries(source)
    return caught.value


def _content(ref: str) -> bytes:
    reference = parse_warc_reference(ref)
    assert reference is not None
    return WarcFetcher(_LIMIT).read(reference)


def _code(ref: str) -> Code:
    with pytest.raises(ItemError) as caught:
        _content(ref)
    return caught.value.code


@contextmanager
def _little_memory(limit: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("crawl.warc", True),
        ("CRAWL.WARC.GZ", True),
        ("crawl.warc.zst", False),
        ("https://host/crawl.warc", False),
        ("crawl.warc:7:https://host/list.csv", False),
        ("crawl.warc:7:urn:list.csv", False),
    ],
)
def test_a_warc_file_is_known_by_its_name_and_no_reference_is_one(source: str, expected: bool) -> None:
    assert is_list(source) is expected


@both_kinds
def test_images_are_found_by_their_content_or_their_type(name: str) -> None:
    with Crawl(name) as crawl:
        crawl.others()
        places = [
            (crawl.answer("https://host/a.jpg"), "https://host/a.jpg"),
            (crawl.answer("https://host/b", media_type="text/html"), "https://host/b"),
            (crawl.answer("https://host/broken.jpg", b"<html>"), "https://host/broken.jpg"),
            (crawl.answer("https://host/empty.jpg", b""), "https://host/empty.jpg"),
            (crawl.resource("file:///c.jpg", media_type="application/octet-stream"), "file:///c.jpg"),
            (crawl.resource("urn:d", b"no image", "IMAGE/PNG"), "urn:d"),
        ]
        crawl.answer("https://host/gone.jpg", status="404 Not Found")
        crawl.answer("https://host/part.jpg", status="206 Partial Content")
        crawl.answer("https://host/page", b"<!doctype html>", "text/html")
        crawl.answer("https://host/paper", b"%PDF-1.7", "application/pdf")
        crawl.answer("https://host/nothing", b"", "text/plain")
        crawl.resource("urn:page", b"text", "text/plain")
        crawl.others()
        places.append((crawl.answer("https://host/last.jpg"), "https://host/last.jpg"))
    expected = [Reference(f"{name}:{offset}:{uri}") for offset, uri in places]
    assert _entries(name) == expected
    assert _entries(name) == expected


def _brought(name: str, content: bytes, media_type: str = "text/plain", **headers: str) -> str:
    with Crawl(name) as crawl:
        crawl.answer("https://host/a", content, media_type, **headers)
    (ref,) = _refs(name)
    return ref


@both_kinds
@pytest.mark.parametrize(
    ("encode", "headers"),
    [
        (lambda content: content, {}),
        (chunked, {"transfer_encoding": "chunked"}),
        (lambda content: chunked(content, 1), {"transfer_encoding": "Chunked"}),
        (gzip.compress, {"content_encoding": "gzip"}),
        (raw_deflated, {"content_encoding": "deflate"}),
        (
            lambda c: chunked(gzip.compress(c, mtime=0), 3),
            {"transfer_encoding": "chunked", "content_encoding": "gzip"},
        ),
        # Whoever made the crawl undid the encodings and left the headers.
        (lambda content: content, {"transfer_encoding": "chunked", "content_encoding": "gzip"}),
        (lambda content: content, {"content_encoding": "br"}),
        (gzip.compress, {"transfer_encoding": "chunked", "content_encoding": "x-gzip"}),
    ],
)
def test_content_comes_as_it_was_before_it_was_sent(
    name: str, encode: Callable[[bytes], bytes], headers: dict[str, str]
) -> None:
    content = JPEG + bytes(range(256)) * 300
    assert _content(_brought(name, encode(content), **headers)) == content


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"\x1f\x8b\x08 no gzip at all", {"content_encoding": "gzip"}),
        (chunked(JPEG)[:-5] + b"no chunk\r\n", {"transfer_encoding": "chunked"}),
        (b"\x0b\x02\x80 packed by brotli", {"content_encoding": "br"}),
        (b"\x0b\x02\x80 packed by whatever", {"content_encoding": "gzip, br"}),
    ],
)
def test_content_that_cannot_be_decoded_costs_its_own_record_alone(
    content: bytes, headers: dict[str, str]
) -> None:
    with Crawl("c.warc.gz") as crawl:
        crawl.answer("https://host/a.jpg", content, **headers)
        crawl.answer("https://host/b.jpg")
    bad, good = _refs("c.warc.gz")
    assert _code(bad) is Code.FILE_UNREADABLE
    assert _content(good) == JPEG


def test_content_that_broke_off_on_its_way_comes_as_far_as_it_came() -> None:
    content = JPEG * 1000
    assert content.startswith(
        _content(_brought("a.warc", gzip.compress(content, mtime=0)[:-30], content_encoding="gzip"))
    )
    ref = _brought("b.warc", chunked(content, 100)[:-200], transfer_encoding="chunked")
    assert content.startswith(_content(ref))
    assert len(_content(ref)) > len(content) - 300


@pytest.mark.parametrize("in_chunks", [False, True])
def test_a_bomb_is_too_many_bytes_and_takes_no_memory(in_chunks: bool) -> None:
    packed = bomb(megabytes=1024)
    headers = {"transfer_encoding": "chunked"} if in_chunks else {}
    content = chunked(packed, len(packed)) if in_chunks else packed
    ref = _brought("c.warc.gz", content, "image/png", content_encoding="gzip", **headers)
    with _little_memory(4 * _LIMIT):
        assert _code(ref) is Code.TOO_MANY_BYTES


def test_a_record_that_unpacks_to_much_is_passed_with_little_memory() -> None:
    with Crawl("c.warc.gz") as crawl:
        crawl.answer("https://host/a.jpg", JPEG + bytes(64 << 20))
        crawl.answer("https://host/b.jpg")
    with _little_memory(2 << 20):
        large, small = _refs("c.warc.gz")
        assert _code(large) is Code.TOO_MANY_BYTES
        assert _content(small) == JPEG


def test_headers_without_end_take_little_memory() -> None:
    head = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: https://host/a\r\n"
    Path("c.warc").write_bytes(head + b"X-More: " + b"x" * (32 << 20))
    with _little_memory(8 << 20):
        assert _failure("c.warc").code is Code.SOURCE_UNREADABLE


@pytest.mark.parametrize("uri", ["https://host/" + "x" * 4096, "https://host/\x1b[31m", "https://host/\x85a"])
def test_a_uri_that_no_reference_can_hold_is_malformed_and_the_rest_goes_on(uri: str) -> None:
    with Crawl("c.warc.gz") as crawl:
        offset = crawl.answer("https://host/a.jpg") or crawl.answer(uri)
        crawl.answer("https://host/b.jpg")
    entries = _entries("c.warc.gz")
    assert [type(entry) for entry in entries] == [Reference, MalformedEntry, Reference]
    assert str(entries[1]).startswith(f"c.warc.gz, byte {offset}: the reference ")


@pytest.fixture
def crawled(tmp_path: Path) -> Callable[[str], bytes]:
    """What makes a small crawl of a few records and returns its bytes."""

    def make(name: str) -> bytes:
        with Crawl(name) as crawl:
            crawl.others()
            crawl.answer("https://host/a.jpg")
            crawl.answer("https://host/b.jpg", chunked(JPEG), transfer_encoding="chunked")
            crawl.resource("urn:c")
        return Path(name).read_bytes()

    return make


def _read_damaged(name: str) -> tuple[list[str], bool]:
    """Return what a damaged file yields, and whether it says that it is damaged."""
    refs: list[str] = []
    try:
        for entry in read_list(name, ListColumns()):
            if isinstance(entry, MalformedEntry):
                return refs, True
            refs.append(entry.ref)
    except ResourceError as error:
        return refs, error.code is Code.SOURCE_UNREADABLE
    return refs, False


@both_kinds
def test_cut_off_anywhere_it_yields_what_is_before(name: str, crawled: Callable[[str], bytes]) -> None:
    whole = crawled(name)
    refs = _refs(name)
    for length in range(0, len(whole), 7):
        Path(name).write_bytes(whole[:length])
        found, is_named = _read_damaged(name)
        assert found == refs[: len(found)]
        # Between two records, nothing tells that there were more.
        assert is_named or length >= len(whole) - 4 or _begins_a_record(whole[length:])
        for ref in found:
            assert _content(ref) == JPEG
        for ref in refs[len(found) :]:
            assert _code(ref) is Code.FILE_UNREADABLE


def _begins_a_record(rest: bytes) -> bool:
    return rest.lstrip(b"\r\n").startswith((b"WARC/", b"\x1f\x8b"))


@pytest.mark.parametrize("name", ["crawl.warc", "crawl.warc.gz"])
def test_whatever_its_bytes_are_nothing_else_is_raised(name: str, crawled: Callable[[str], bytes]) -> None:
    whole = crawled(name)
    refs = _refs(name)

    @settings(max_examples=300, deadline=None)
    @given(st.integers(0, len(whole) - 1), st.binary(min_size=1, max_size=20))
    def check(place: int, junk: bytes) -> None:
        Path(name).write_bytes(whole[:place] + junk + whole[place + len(junk) :])
        found, _ = _read_damaged(name)
        for ref in {*refs, *(ref for ref in found if is_warc_reference(ref))}:
            try:
                _content(ref)
            except ItemError as error:
                assert not error.code.transient  # noqa: PT017  # either outcome is right

    check()


def test_what_follows_damage_is_named_with_its_offset() -> None:
    with Crawl("c.warc.gz") as crawl:
        crawl.answer("https://host/a.jpg")
        offset = crawl.answer("https://host/b.jpg", JPEG + bytes(range(256)) * 100)
        end = crawl.answer("https://host/c.jpg")
    whole = bytearray(Path("c.warc.gz").read_bytes())
    whole[(offset + end) // 2] ^= 255
    Path("c.warc.gz").write_bytes(whole)
    good, damaged = _entries("c.warc.gz")
    assert good == Reference("c.warc.gz:0:https://host/a.jpg")
    assert str(damaged).startswith(f"c.warc.gz, byte {offset}: the record cannot be unpacked")
    assert str(damaged).endswith("nothing after it can be read")


def test_gzipped_as_a_whole_it_is_refused_with_what_to_do() -> None:
    with Crawl("c.warc") as crawl:
        crawl.answer("https://host/a.jpg")
        crawl.answer("https://host/b.jpg")
    Path("c.warc.gz").write_bytes(gzip.compress(Path("c.warc").read_bytes(), mtime=0))
    error = _failure("c.warc.gz")
    assert error.code is Code.SOURCE_UNREADABLE
    assert "warcio recompress" in str(error)
    assert _code("c.warc.gz:0:https://host/a.jpg") is Code.FILE_UNREADABLE


def test_the_name_need_not_tell_whether_it_is_gzipped() -> None:
    with Crawl("c.warc.gz") as crawl:
        crawl.answer("https://host/a.jpg")
    Path("c.warc.gz").rename("d.warc")
    (ref,) = _refs("d.warc")
    assert _content(ref) == JPEG


def test_empty_members_between_records_are_passed_over() -> None:
    with Crawl("c.warc.gz") as crawl:
        crawl.answer("https://host/a.jpg")
    record = Path("c.warc.gz").read_bytes()
    Path("c.warc.gz").write_bytes(record + gzip.compress(b"", mtime=0) * 3000 + record)
    assert len(_refs("c.warc.gz")) == 2


def _record(content: bytes, *, says: int = 0, behind: bytes = b"\r\n\r\n", before: bytes = b"") -> bytes:
    """Return a record that says that it is so many bytes longer than it is."""
    head = b"WARC/1.0\r\nWARC-Type: resource\r\nWARC-Target-URI: urn:a\r\nContent-Type: image/jpeg\r\n"
    return before + head + b"Content-Length: %d\r\n\r\n" % (len(content) + says) + content + behind


_ODD = {
    "a zero byte after records": {"behind": b"\r\n\r\n\0"},
    "many of them": {"behind": b"\r\n\r\n" + bytes(5000)},
    "a length that is one short": {"says": -1},
    "a length that is a few short": {"says": -9},
    "a length that is one too long": {"says": 1},
    "one line end after records": {"behind": b"\n"},
    "nothing after records": {"behind": b""},
}


@pytest.mark.parametrize(
    "pack", [bytes, lambda record: gzip.compress(record, mtime=0)], ids=["plain", "gzip"]
)
@pytest.mark.parametrize("odd", _ODD.values(), ids=_ODD)
def test_records_as_tools_write_them_are_read(odd: dict[str, Any], pack: Callable[[bytes], bytes]) -> None:
    record = pack(_record(JPEG, **odd))
    Path("c.warc.gz").write_bytes(3 * record)
    refs = _refs("c.warc.gz")
    assert refs == [f"c.warc.gz:{number * len(record)}:urn:a" for number in range(3)]
    for ref in refs:
        assert _content(ref).strip(b"\r") == JPEG


@pytest.mark.parametrize("filler", [b"\0", b"\r\n", bytes(600)])
def test_what_is_between_gzip_members_is_passed_over(filler: bytes) -> None:
    member = gzip.compress(_record(JPEG), mtime=0)
    blank = gzip.compress(b"\r\n\r\n", mtime=0)
    Path("c.warc.gz").write_bytes(
        (member + filler) * 2 + blank + gzip.compress(_record(JPEG, before=b"\r\n"))
    )
    assert len(_refs("c.warc.gz")) == 3
    assert {_content(ref) for ref in _refs("c.warc.gz")} == {JPEG}


def test_a_damaged_record_in_a_complete_gzip_member_costs_itself_alone() -> None:
    good, bad = gzip.compress(_record(JPEG), mtime=0), gzip.compress(_record(JPEG, says=100), mtime=0)
    Path("c.warc.gz").write_bytes(bad + good + gzip.compress(b"no record", mtime=0) + good)
    incomplete, first, none, last = _entries("c.warc.gz")
    assert [type(entry) for entry in (first, last)] == [Reference, Reference]
    assert str(incomplete) == "c.warc.gz, byte 0: the record is incomplete"
    assert str(none).endswith("no WARC record begins here")
    Path("c.warc.gz").write_bytes(bad * 3)
    assert "the record is incomplete; is it a WARC file?" in str(_failure("c.warc.gz"))


def test_a_plain_record_that_is_much_longer_than_it_says_is_not_guessed_at() -> None:
    Path("c.warc").write_bytes(_record(JPEG) + _record(JPEG * 9, says=-100) + _record(JPEG))
    entries = _entries("c.warc")
    assert [type(entry) for entry in entries] == [Reference, Reference, MalformedEntry]


def test_the_crawl_of_a_well_known_crawler_is_read(test_data: Path) -> None:
    assert len(_refs(str(test_data / "cases" / "storm_zero_byte.warc.gz"))) == 2


@both_kinds
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"url\nhttps://host/a.jpg\n", "is it a WARC file?"),
        (gzip.compress(b"url\nhttps://host/a.jpg\n", mtime=0), "is it a WARC file?"),
        (b"\x1f\x8b", "is it a WARC file?"),
        (bytes(1000), "is it a WARC file?"),
        (b"\r\n\r\n", "is it a WARC file?"),
    ],
)
def test_what_is_no_warc_file_is_refused(name: str, content: bytes, words: str) -> None:
    Path(name).write_bytes(content)
    error = _failure(name)
    assert (type(error), error.code) == (ResourceError, Code.SOURCE_UNREADABLE)
    assert words in str(error)
    assert name in str(error)


def test_a_missing_file_is_a_usage_error() -> None:
    error = _failure("nowhere.warc.gz")
    assert (type(error), error.code) == (UsageError, Code.SOURCE_NOT_FOUND)
