import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.warc import WarcReference, is_warc_reference, parse_warc_reference

_ENDINGS = st.sampled_from([".warc", ".warc.gz", ".WARC", ".Warc.Gz"])


@given(
    st.builds(
        WarcReference,
        st.builds(str.__add__, st.text(), _ENDINGS),
        st.integers(0, 10**18 - 1),
        st.text() | st.from_regex(re.compile(r"https?://[a-z]+/.*\.warc:1:.*")),
    )
)
@example(WarcReference("a.warc:1:b%3A/%25.warc", 0, "https://host/c.warc.gz:2:d"))
@example(WarcReference("http://host/a.warc", 7, ""))
def test_whatever_is_named_is_found_again(reference: WarcReference) -> None:
    assert parse_warc_reference(str(reference)) == reference
    assert is_warc_reference(str(reference))
    assert not str(reference).lower().startswith(("http://", "https://"))


def test_an_ordinary_one_reads_as_one_would_write_it() -> None:
    reference = WarcReference("crawls/c.warc.gz", 1234, "https://example.com/a.jpg")
    assert str(reference) == "crawls/c.warc.gz:1234:https://example.com/a.jpg"


@pytest.mark.parametrize(
    "ref",
    [
        "",
        "a.jpg",
        "crawl.warc.gz",
        "crawl.warc:7",
        "crawl.warc:x:https://host/a.jpg",
        "crawl.warc:٣:https://host/a.jpg",
        "crawl.warc:-1:https://host/a.jpg",
        "crawl.warc:1234567890123456789:https://host/a.jpg",
        "crawl.arc:7:https://host/a.jpg",
        "https://host/crawl.warc:7:https://host/a.jpg",
        "https://host/a.jpg",
    ],
)
def test_nothing_else_is_taken_for_one(ref: str) -> None:
    assert not is_warc_reference(ref)
    assert parse_warc_reference(ref) is None
