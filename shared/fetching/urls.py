"""URLs as texts: sent letter for letter, and compared in a normal form.

A URL may be signed, and then its host answers only the very text that was signed: ``%2f`` is not ``%2F``, and
``/a/../b`` is not ``/b``. So all that may stand in a URL is sent as it was written, and only the rest is
percent-encoded, by one rule for lists and for redirects. The normal form tells whether two texts mean the
same request; it is never sent.
"""

import re
from typing import NamedTuple

from yarl import URL

from shared.errors import Code, ItemError

_HTTP = re.compile(r"(https?)://([^/?#]+)([^#]*)", re.IGNORECASE | re.DOTALL)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_DOTS = (".", "..")
#: What may not stand in a URL: neither reserved nor unreserved, nor an escape's sign (RFC 3986, section 2).
_QUOTED = re.compile(rb"[^A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]")


class SplitUrl(NamedTuple):
    """A URL without its fragment: the scheme in lower case, and the other parts as they were written."""

    scheme: str
    authority: str
    rest: str

    @property
    def target(self) -> str:
        """The target of the request: path and query, quoted where needed (RFC 9112, section 3.2.1).

        Raises ``ItemError(url_not_allowed)`` for what no encoding of Unicode has, such as half a character.
        """
        return quoted(self.rest if self.rest.startswith("/") else f"/{self.rest}")


def split_url(text: str) -> SplitUrl | None:
    """Return the parts of an http or https URL; None for any other text."""
    match = _HTTP.match(text)
    return SplitUrl(match[1].lower(), match[2], match[3]) if match else None


def quoted(text: str) -> str:
    """Percent-encode what may not stand in a URL, such as spaces and umlauts; leave all else as it is.

    Bytes of a header that are not UTF-8 come as surrogates, and are encoded as the bytes they are.
    """
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise not_a_url() from error
    return _QUOTED.sub(lambda byte: b"%%%02X" % byte[0][0], raw).decode("ascii")


def redirect_target(base: str, location: str) -> str:
    """Return the absolute form of a Location header, unchecked (RFC 3986, section 5.2.2).

    Only a path that is relative is resolved; dots in an absolute one are sent, as in lists.
    """
    split = split_url(base)
    assert split is not None, "the base was checked"
    origin = f"{split.scheme}://{split.authority}"
    path = split.target.partition("?")[0]
    if _SCHEME.match(location):
        return location
    if location.startswith("//"):
        return f"{split.scheme}:{location}"
    if location.startswith("/"):
        return origin + location
    relative = re.split("[?#]", location, maxsplit=1)[0]
    if relative:
        path = _without_dots(f"{path.rpartition('/')[0]}/{relative}")
    return origin + path + location[len(relative) :]


def _without_dots(path: str) -> str:
    """Return an absolute path with its dot segments resolved (RFC 3986, section 5.2.4)."""
    kept: list[str] = []
    *segments, last = path.split("/")[1:]
    for segment in segments:
        _walk(kept, segment)
    if last in _DOTS:
        _walk(kept, last)
        last = ""
    return "/".join(["", *kept, last])


def _walk(kept: list[str], segment: str) -> None:
    if segment not in _DOTS:
        kept.append(segment)
    elif segment == ".." and kept:
        kept.pop()


def normal_url(text: str) -> str:
    """Return the normal form of a URL, the same for all spellings of a request; other texts unchanged."""
    try:
        return str(URL(text).with_fragment(None)) if split_url(text) else text
    except ValueError:  # also what has no encoding
        return text


def not_a_url() -> ItemError:
    """Return the error of a text that is no URL."""
    return ItemError(Code.URL_NOT_ALLOWED, "not a well-formed http or https URL")
