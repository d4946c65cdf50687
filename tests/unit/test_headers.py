"""What the headers of an answer say."""

import pytest

from shared.errors import Code
from shared.fetching.headers import code_of_status, compression, is_whole, opt_out, retry_after


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (204, Code.HTTP_UNEXPECTED),
        (304, Code.HTTP_UNEXPECTED),
        (400, Code.HTTP_4XX),
        (401, Code.HTTP_401),
        (403, Code.HTTP_403),
        (408, Code.HTTP_408),
        (410, Code.HTTP_410),
        (418, Code.HTTP_4XX),
        (421, Code.HTTP_4XX),
        (423, Code.HTTP_4XX),
        (425, Code.HTTP_425),
        (429, Code.RATE_LIMITED),
        (500, Code.HTTP_5XX),
        (503, Code.HTTP_5XX),
        (599, Code.HTTP_5XX),
        (600, Code.HTTP_UNEXPECTED),
        (999, Code.HTTP_UNEXPECTED),
        (0, Code.HTTP_UNEXPECTED),
    ],
)
def test_each_status_has_its_code(status: int, code: Code) -> None:
    assert code_of_status(status) is code


@pytest.mark.parametrize(
    ("status", "again"),
    [
        (404, False),
        (408, True),
        (421, False),
        (423, False),
        (425, True),
        (429, True),
        (503, True),
        (999, False),
    ],
)
def test_a_status_that_says_nothing_for_good_is_tried_again(status: int, again: bool) -> None:
    assert code_of_status(status).transient is again


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("9" * 400, 999_999_999.0),
        ("Thu, 01 Jan 1970 00:01:30 GMT", 30.0),
        ("Thu, 01 Jan 1970 00:00:30 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_how_long_a_host_asks_us_to_wait(header: str, seconds: float | None) -> None:
    assert retry_after(header, now=60.0) == seconds


@pytest.mark.parametrize(
    ("values", "directive"),
    [
        (["noai"], "noai"),
        (["NoImageAI"], "noimageai"),
        (["all", "noindex, nofollow"], "noindex"),
        (["max-snippet: 20, noimageindex"], "noimageindex"),
        (["none"], "none"),
        (["smartsightbot: noai"], "noai"),
        (["otherbot: all, noai, smartsightbot: noindex"], "noindex"),
        (["otherbot: noai, noindex"], None),
        (["unavailable_after: 25 Jun 2010 15:00:00 PST"], None),
        (["nofollow, noarchive"], None),
        ([], None),
        ([""], None),
    ],
)
def test_which_images_are_not_for_us(values: list[str], directive: str | None) -> None:
    assert opt_out(values, "smartsightbot") == directive


@pytest.mark.parametrize(
    ("status", "content_range", "whole"),
    [
        (200, None, True),
        (200, "bytes 0-1/9", True),  # it says nothing there
        (203, None, True),
        (226, None, True),
        (206, "bytes 0-8/9", True),
        (206, "Bytes  0-8/9", True),
        (206, None, True),
        (206, "bytes 0-7/9", False),
        (206, "bytes 1-8/9", False),
        (206, "bytes 0-8/*", False),
        (206, "", False),
        (206, f"bytes 0-{'9' * 5000}/1{'0' * 5000}", False),
        (201, None, False),
        (202, None, False),
        (204, None, False),
        (304, None, False),
        (404, None, False),
    ],
)
def test_which_answers_have_all_bytes(status: int, content_range: str | None, whole: bool) -> None:
    assert is_whole(status, content_range) is whole


@pytest.mark.parametrize(
    ("values", "coding"),
    [
        ([], None),
        (["none", "utf-8", "", "binary", "identity", "image/jpeg"], None),
        (["GZIP"], "gzip"),
        (["identity, br"], "br"),
        (["identity", "zstd"], "zstd"),
    ],
)
def test_which_content_codings_compress(values: list[str], coding: str | None) -> None:
    assert compression(values) == coding
