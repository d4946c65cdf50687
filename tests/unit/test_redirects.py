"""Where a redirect leads, whatever bytes its Location has."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from shared.errors import Code, ItemError
from shared.fetching.guard import Guard
from shared.fetching.urls import quoted, redirect_target

_GUARD = Guard((80, 443))
_FROM = _GUARD.check("http://www.example.com/a/b.jpg?c")


def _led(location: bytes) -> URL:
    """Return where a Location leads, past the first gate; its bytes come as the HTTP client hands them on."""
    return _GUARD.check(redirect_target(str(_FROM), location.decode("utf-8", "surrogateescape")))


@pytest.mark.parametrize(
    ("location", "url"),
    [
        (b"/caf\xe9.jpg", "http://www.example.com/caf%E9.jpg"),
        (b"caf\xe9.jpg", "http://www.example.com/a/caf%E9.jpg"),
        (b"?q=\xe9 \xff", "http://www.example.com/a/b.jpg?q=%E9%20%FF"),
        (b"//img.example.com/\xe9", "http://img.example.com/%E9"),
        (b"http://img.example.com/caf\xe9.jpg", "http://img.example.com/caf%E9.jpg"),
        (b"HTTPS://img.example.com?\xe9", "https://img.example.com/?%E9"),
        (b"http://img.example.com/a b.jpg?c d", "http://img.example.com/a%20b.jpg?c%20d"),
        (b"/a b.jpg?c d", "http://www.example.com/a%20b.jpg?c%20d"),
        ("/café.jpg".encode(), "http://www.example.com/caf%C3%A9.jpg"),
        ("http://img.example.com/café.jpg".encode(), "http://img.example.com/caf%C3%A9.jpg"),
        (b"/caf%E9%20.jpg?%C3%A9", "http://www.example.com/caf%E9%20.jpg?%C3%A9"),
        (b"/proxy/http://img.example.com/a b", "http://www.example.com/proxy/http://img.example.com/a%20b"),
        (b"?u=http://img.example.com/", "http://www.example.com/a/b.jpg?u=http://img.example.com/"),
        ("http://bücher.example.com/ü".encode(), "http://xn--bcher-kva.example.com/%C3%BC"),
        ("//bücher.example.com/".encode(), "http://xn--bcher-kva.example.com/"),
        (b"../c.jpg#d", "http://www.example.com/c.jpg"),
        (b"c/./d/../e/..?../x", "http://www.example.com/a/c/?../x"),
        (b"../../../c.jpg", "http://www.example.com/c.jpg"),
        (b".", "http://www.example.com/a/"),
        (b"%2e%2e/c", "http://www.example.com/a/%2e%2e/c"),
        (b"#d", "http://www.example.com/a/b.jpg"),
        (b"?", "http://www.example.com/a/b.jpg?"),
        (b"/a/../b//c;d?e+f?", "http://www.example.com/a/../b//c;d?e+f?"),
        (b"http://img.example.com", "http://img.example.com/"),
        (b"//img.example.com?", "http://img.example.com/?"),
        (b"HTTP://IMG.example.com:80/%2f/%zz%", "http://img.example.com/%2f/%zz%"),
    ],
)
def test_a_redirect_leads_where_its_bytes_say(location: bytes, url: str) -> None:
    assert str(_led(location)) == url


@pytest.mark.parametrize(
    "location",
    [
        # A host is never quoted: what is odd in it is judged as it is.
        *(b"http://caf\xe9.example.com/", b"//caf\xe9.example.com/", b"http://ex ample.com/", b"//a b.com/"),
        *(b"http://%e9.example.com/", b"http://user\xe9@example.com/", b"//us er@example.com/"),
        *("http://①②⑦.⓪.⓪.①/é".encode(), "//①②⑦.⓪.⓪.①/é".encode(), "http://127。0。0。1/".encode()),
        # Control characters, and the backslash, which some take for a slash.
        *(b"/a\tb", b"/a\x01b", b"http://img.example.com/a\x7fb", b"\\\\img.example.com/a", b"/\\a.com/b"),
        *(b"http://img.example.com\\@10.0.0.1/", b"http:\xe9//img.example.com/", b"\x00/a"),
        *(b"http://10.0.0.1/\xe9", b"//10.0.0.1/ ", b"file:///etc/caf\xe9", b"data:image/png,\xe9"),
        *(b"javascript:a b", b"http:/caf\xe9", b"http:caf\xe9", b"http://", b"http:// /"),
    ],
)
def test_no_odd_bytes_get_a_redirect_past_the_gate(location: bytes) -> None:
    with pytest.raises(ItemError) as caught:
        _led(location)
    assert caught.value.code is Code.URL_NOT_ALLOWED


@given(st.binary(max_size=30), st.sampled_from((b"http://img.example.com/", b"//img.example.com/", b"/")))
def test_no_byte_is_lost_or_leads_elsewhere(path: bytes, before: bytes) -> None:
    with suppress(ItemError):
        url = _led(before + b"x/" + path)
        assert url.host == ("www.example.com" if before == b"/" else "img.example.com")
        sent = b"/x/" + path.partition(b"#")[0]
        assert str(url).partition("example.com")[2] == quoted(sent.decode("utf-8", "surrogateescape"))
