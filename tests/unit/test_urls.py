"""What is sent of a URL: its own letters, and the rest quoted. Two texts of one request compare as equal."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ItemError
from shared.fetching.guard import Guard
from shared.fetching.robots import parse_rules
from shared.fetching.urls import normal_url, quoted

_GUARD = Guard((80, 443))
#: Paths and queries as services sign them, or as nobody should write them: all may stand in a URL.
SIGNED = [
    "/signed/fit-in/300x200/http%3A%2F%2Fcdn.example%2Fa.jpg",
    "/unsafe/300x200/smart/filters:quality(80):fill(white)/http://cdn.example/a%20b.jpg",  # thumbor
    "/AfrOrF3gWeDA6VOlDG4TzxMv39O7MXnF4CXpK/rs:fill:300:400:0/plain/s3://bucket/%e4.jpg@webp",  # imgproxy
    "/a%27b%28c%29%2C%21.jpg?Signature=qZ0A%2BPP2g%3D&Expires=1&Key-Pair-Id=K~_-",  # CloudFront
    "/b.jpg?X-Amz-Credential=AK%2F2026%2Fs3%2Faws4_request&X-Amz-SignedHeaders=host&x=%20+",  # S3
    "/c~d%7Ee.jpg?s=%7E",
    "/latin%E9.jpg",
    "/plus+sign.jpg?q=a+b%20c",
    "/lower%c3%a9.jpg?x=%2f",
    "/a/./b/../c/%2e%2e/d//e/",
    "/?",
    "/a?",
    "/a??b=?&&c=;d&e",
    "/a;v=1,2/b:c@d/[e]?f[]=[1]&g=@:/?!$'()*",
    "/%zz/%/%4?%",
    "/%00%0d%0a%25%5C",
    "/http://user@10.0.0.1/@169.254.169.254",
]


@pytest.mark.parametrize("target", SIGNED)
def test_what_may_stand_in_a_url_is_sent_letter_for_letter(target: str) -> None:
    url = _GUARD.check(f"HTTP://Example.com:80{target}#part")
    assert (url.raw_host, url.raw_path_qs) == ("example.com", target)
    assert str(url) == f"http://example.com{target}"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("", "/"),
        ("?a", "/?a"),
        ("/a b?c d", "/a%20b?c%20d"),
        ("/ü?ü", "/%C3%BC?%C3%BC"),
        ("/%c3%bc ü", "/%c3%bc%20%C3%BC"),
        ('/"<>^`{|}', "/%22%3C%3E%5E%60%7B%7C%7D"),
        ("/\N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}\N{LINE SEPARATOR}", "/%C2%A0%E2%80%8B%E2%80%A8"),
    ],
)
def test_only_what_may_not_stand_in_a_url_is_quoted(written: str, sent: str) -> None:
    assert _GUARD.check(f"http://example.com{written}").raw_path_qs == sent


@given(st.text(max_size=40))
def test_quoting_changes_no_letter_that_may_be_sent(text: str) -> None:
    with suppress(ItemError):
        assert quoted(quoted(text)) == quoted(text)
        assert quoted(text).isascii()
        assert (
            quoted(text) == text
            or not text.isascii()
            or set(text) & set(' "#<>\\^`{|}')
            or not text.isprintable()
        )


def test_spellings_of_one_request_compare_as_equal() -> None:
    spellings = [
        "http://h.example/a/%c3%bc?x",
        "http://H.example:80/a/b/../%C3%BC?x#y",
        "http://h.example/%61/ü?x",
    ]
    assert {normal_url(url) for url in spellings} == {"http://h.example/a/%C3%BC?x"}
    assert normal_url("photos/a.jpg") == "photos/a.jpg"


@pytest.mark.parametrize("path", ["/private/a", "/x/../private/a", "/%70rivate/a", "/x/%2e%2e/private/a"])
def test_no_spelling_gets_round_a_robots_txt(path: str) -> None:
    rules = parse_rules("User-agent: *\nDisallow: /private/", "bot")
    assert rules.against(f"http://h.example{path}") == "robots.txt: Disallow: /private/"
