"""A crawl list over the whole of the tests' web, and what each of its URLs must come to."""

from shared.errors import Code
from tests.servers.web import Web
from tests.servers.web_hosts import GOOD, INSIDE, REBINDING

#: A URL, and its final code; none where there must be predictions.
Expected = list[tuple[str, str | None]]


ROBOTS_UNAVAILABLE = Code.ROBOTS_UNAVAILABLE

#: What fails for good though it may be tried again, each at a host of its own: an unlucky host may be given
#: up, and that shall not hit others.
_BROKEN: dict[str, str] = {
    "hang": Code.FETCH_TIMEOUT,
    "drip": Code.FETCH_TIMEOUT,
    "header-drip": Code.FETCH_TIMEOUT,
    "continue": Code.FETCH_TIMEOUT,
    "endless-headers": Code.HTTP_INVALID,  # a choice: too_many_bytes would be as true
    "gzip": Code.ENCODING_UNSUPPORTED,
    "short": Code.FETCH_FAILED,
    "closed": Code.FETCH_FAILED,
    "reset": Code.FETCH_FAILED,
    "old": Code.HTTP_INVALID,
    "garbage": Code.HTTP_INVALID,
}
_STATUSES: dict[int, str] = {
    204: Code.HTTP_UNEXPECTED,
    400: Code.HTTP_4XX,
    401: Code.HTTP_401,
    403: Code.HTTP_403,
    404: Code.HTTP_404,
    410: Code.HTTP_410,
    451: Code.HTTP_4XX,
}
_REDIRECTS: dict[str, str | None] = {
    "relative": None,
    "absolute": None,
    "other": None,
    "loop": Code.TOO_MANY_REDIRECTS,
    # A choice: the robots.txt of the host that is redirected to counts as well.
    "forbidden": Code.ROBOTS_DISALLOWED,
    "nowhere": Code.HTTP_UNEXPECTED,  # a choice: a redirect without a Location
    **dict.fromkeys(
        ("metadata", "loopback6", "trap", "number", "file", "gopher", "data"), Code.URL_NOT_ALLOWED
    ),
    **dict.fromkeys(("private", "user", "port", "private-name", "trap-name"), Code.URL_NOT_ALLOWED),
}
#: What becomes of /ok/1 and /private/2 where robots.txt is so.
_ROBOTS: dict[str, tuple[str | None, str | None]] = {
    "robots-private": (None, Code.ROBOTS_DISALLOWED),
    "robots-all": (Code.ROBOTS_DISALLOWED, Code.ROBOTS_DISALLOWED),
    "robots-us": (None, Code.ROBOTS_DISALLOWED),
    "robots-404": (None, None),
    "robots-403": (None, None),  # RFC 9309, 2.3.1.3: any 4xx means that there are no rules
    "robots-500": (ROBOTS_UNAVAILABLE, ROBOTS_UNAVAILABLE),
    "robots-hang": (ROBOTS_UNAVAILABLE, ROBOTS_UNAVAILABLE),
    "robots-closed": (ROBOTS_UNAVAILABLE, ROBOTS_UNAVAILABLE),
    "robots-html": (None, None),
    "robots-moved-5": (None, Code.ROBOTS_DISALLOWED),
    # A choice: after five redirects RFC 9309 lets a crawler take the file for one that is not there.
    "robots-moved-6": (None, None),
    # A choice: a robots.txt that leads inside is one that cannot be reached.
    "robots-inside": (ROBOTS_UNAVAILABLE, ROBOTS_UNAVAILABLE),
    "robots-huge": (None, Code.ROBOTS_DISALLOWED),
}
_TAGS: dict[str, str | None] = {
    "tag-noai": Code.OPTED_OUT,
    "tag-noimageai": Code.OPTED_OUT,
    "tag-noindex": Code.OPTED_OUT,  # a choice: no index, hence no labels either
    "tag-other": None,
    "tag-us": Code.OPTED_OUT,
}
#: So many URLs of one host that lead to the same bytes are taken for a stand-in.
_ALIKE = 6


def expected(web: Web) -> Expected:
    """Return the crawl; each URL is in it once."""
    parts = (_good, _broken, _strange, _moved, _forbidden, _tagged, _alike, _inside)
    return [pair for part in parts for pair in part(web)]


def rebinding(web: Web) -> list[str]:
    """Return URLs that may end either way: what counts is that nothing came to a trap.

    Whether a name is asked for again depends on how long its answer was kept.
    """
    return [web.url(host, f"/ok/{number}") for host in REBINDING for number in range(2)]


def _good(web: Web) -> Expected:
    paths = [f"/{kind}/{number}" for number, kind in enumerate(("ok", "ok", "ok", "plain"))]
    urls = [web.url(host, path) for host in GOOD for path in paths]
    urls += [*web.urls("slow.example.com", "slow", 4), *web.urls("two-homes.example.com", "ok", 2)]
    urls += [web.url("bücher.example.com", "/ok/1"), web.url("under_score.example.com", "/ok/1")]
    urls += [f"HTTP://GOOD-01.Example.COM:{web.port}/ok/20#part", web.url("good-02.example.com.", "/ok/21")]
    urls += [web.url("fresh.example.com", path) for path in ("/etag/1", "/etag/2", "/modified/3")]
    urls += [web.url("busy.example.net", path) for path in ("/429/1?after=1", "/503/2?after=1", "/ok/3")]
    urls += [web.url("flaky.example.net", path) for path in ("/flaky-short/1", "/ok/2")]
    urls += web.urls("robots-delay.example.org", "ok", 3)
    return [(url, None) for url in urls]


def _broken(web: Web) -> Expected:
    pairs = [(web.url(f"{kind}.example.net", f"/{kind}/1"), code) for kind, code in _BROKEN.items()]
    return [
        *pairs,
        (web.url("status-500.example.net", "/status/500"), Code.HTTP_5XX),
        (web.url("status-503.example.net", "/503/1?after=1&times=999"), Code.HTTP_5XX),
        (web.url("limited.example.net", "/429/1?after=1&times=999"), Code.RATE_LIMITED),
        (web.url("shut.example.net", "/ok/1"), Code.CONNECT_FAILED),
        (web.url("nowhere.example.net", "/ok/1"), Code.DNS_FAILED),
    ]


def _strange(web: Web) -> Expected:
    host = "strange.example.net"
    return [
        (web.url(host, "/ok/1"), None),
        (web.url(host, "/html/2"), Code.NOT_AN_IMAGE),
        (web.url(host, "/endless-body/3"), Code.TOO_MANY_BYTES),
        (web.url(host, "/claim/4"), Code.TOO_MANY_BYTES),
        *((web.url("statuses.example.net", f"/status/{status}"), code) for status, code in _STATUSES.items()),
    ]


def _moved(web: Web) -> Expected:
    host = "moved.example.net"
    return [
        *((web.url(host, f"/redirect/{word}"), code) for word, code in _REDIRECTS.items()),
        (web.url(host, "/hops/3?to=/ok/3"), None),
        (web.url(host, "/hops/4?to=/ok/4"), Code.TOO_MANY_REDIRECTS),
    ]


def _forbidden(web: Web) -> Expected:
    """A host whose robots.txt is not to be had gets one URL: more of them would have it given up."""
    return [
        (web.url(f"{name}.example.org", path), code)
        for name, codes in _ROBOTS.items()
        for path, code in zip(("/ok/1", "/private/2"), codes, strict=True)
        if path == "/ok/1" or code != ROBOTS_UNAVAILABLE
    ]


def _tagged(web: Web) -> Expected:
    return [(web.url(f"{name}.example.org", "/ok/1"), code) for name, code in _TAGS.items()]


def _alike(web: Web) -> Expected:
    """Few pictures may be alike; many are a stand-in, however they are reached."""
    few = [(url, None) for url in web.urls("alike.example.com", "same", 2)]
    many = [*web.urls("gone.example.com", "gone", _ALIKE), *web.urls("same.example.com", "same", _ALIKE)]
    return [*few, *((url, Code.PLACEHOLDER) for url in many)]


def _inside(web: Web) -> Expected:
    urls = [web.url(name, "/ok/1") for name in INSIDE]
    literals = (
        "127.0.0.1",
        "127.66.6.6",
        "[::1]",
        "[::ffff:127.66.6.6]",
        "2130706433",
        "0x7f.1",
        "localhost",
    )
    urls += [web.url(literal, "/ok/1") for literal in literals]
    urls += ["http://169.254.169.254/", "http://10.0.0.1/ok/1", f"http://{GOOD[0]}:22/ok/1"]
    urls += [f"http://user:pass@{GOOD[0]}:{web.port}/ok/1", "ftp://good-01.example.com/ok/1"]
    return [(url, Code.URL_NOT_ALLOWED) for url in urls]
