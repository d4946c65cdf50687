"""Where clients reach the service, by what is set, by the request, and by proxies that are trusted."""

import asyncio
from collections.abc import Mapping
from ipaddress import ip_network

import pytest
from starlette.types import Receive, Scope, Send

from results_api.service.public_address import PublicAddressMiddleware, public_address
from shared.settings import read_settings
from tests.unit.asgi import Answered, ask, well

_PROXY = ip_network("192.0.2.1/32")  # whom ``ask`` comes from
_ELSEWHERE = ip_network("198.51.100.0/24")
_SAYS = {
    "Host": "127.0.0.1:8000",
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "labels.example.com",
    "X-Forwarded-Prefix": "/labels",
}


class _Seen:
    """Keeps the scope that it is asked with."""

    def __init__(self) -> None:
        self.scope: Scope = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        await well(scope, receive, send)


def _seen(
    headers: Mapping[str, str], path: str = "/v1/jobs", prefix: str = "", trusted: object = _PROXY
) -> tuple[Scope, str]:
    """Return the scope that the service gets, and the URL of a path of its own."""
    app = _Seen()
    asyncio.run(ask(PublicAddressMiddleware(app, prefix, [trusted]), path, headers))  # type: ignore[list-item]
    return app.scope, public_address(app.scope).url("/docs")


def test_without_a_proxy_it_is_the_host_that_was_asked_for() -> None:
    assert _seen({"Host": "labels.example.com:8000"})[1] == "http://labels.example.com:8000/docs"
    assert _seen({"Host": "[::1]:8000"})[1] == "http://[::1]:8000/docs"


@pytest.mark.parametrize("host", ["", "a b", "a/b", "user@host", "a,b", '"><script>', "a:b"])
def test_a_host_that_could_not_be_in_a_url_is_not_in_one(host: str) -> None:
    assert _seen({"Host": host})[1] == "http://localhost/docs"


def test_a_trusted_proxy_is_believed() -> None:
    scope, url = _seen(_SAYS)
    assert url == "https://labels.example.com/labels/docs"
    assert scope["client"][0] == "203.0.113.9"
    assert dict(scope["headers"])[b"host"] == b"labels.example.com"


def test_nobody_else_is() -> None:
    scope, url = _seen(_SAYS, trusted=_ELSEWHERE)
    assert url == "http://127.0.0.1:8000/docs"
    assert scope["client"][0] == "192.0.2.1"


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        # The client invents the first; the proxy adds the last.
        ("10.0.0.1, 203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, 192.0.2.1", "203.0.113.9"),
        ("192.0.2.1", "192.0.2.1"),
        ("203.0.113.9, unknown", "192.0.2.1"),
        ("", "192.0.2.1"),
        ("\x1b[31m", "192.0.2.1"),
    ],
)
def test_the_client_is_the_last_that_is_no_trusted_proxy(said: str, client: str) -> None:
    assert _seen({"X-Forwarded-For": said})[0]["client"][0] == client


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("X-Forwarded-Proto", "javascript"),
        ("X-Forwarded-Host", "evil.example/@"),
        ("X-Forwarded-Prefix", "//evil.example"),
        ("X-Forwarded-Prefix", "/a/../b"),
        ("X-Forwarded-Prefix", "labels"),
        ("X-Forwarded-Prefix", "/a b"),
    ],
)
def test_what_makes_no_sense_is_ignored(name: str, said: str) -> None:
    assert _seen({"Host": "a.example", name: said})[1] == "http://a.example/docs"


def test_of_a_list_the_nearest_proxy_counts() -> None:
    said = {
        "Host": "a.example",
        "X-Forwarded-Host": "evil.example, b.example",
        "X-Forwarded-Proto": "http,https",
    }
    assert _seen(said)[1] == "https://b.example/docs"


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/labels/v1/jobs", "/v1/jobs"),  # passed on
        ("/v1/jobs", "/v1/jobs"),  # stripped by the proxy
        ("/labels/", "/"),
        ("/labelsmore", "/labelsmore"),
        ("/labels/v1/jobs/", "/v1/jobs"),
        ("/v1/classify/", "/v1/classify"),
        ("/docs/", "/docs/"),
    ],
)
def test_a_proxy_may_pass_the_prefix_on_or_strip_it(path: str, own: str) -> None:
    scope, url = _seen({"Host": "a.example"}, path, "/labels")
    assert (scope["path"], url) == (own, "http://a.example/labels/docs")


def test_the_bare_prefix_leads_to_the_page_below_it() -> None:
    async def redirected() -> Answered:
        return await ask(PublicAddressMiddleware(well, "/labels"), "/labels")

    answered = asyncio.run(redirected())
    assert (answered.status, answered.headers["location"]) == (308, "/labels/")


def test_the_settings_are_checked() -> None:
    settings = read_settings(
        {"SMARTSIGHT_ROOT_PATH": "/labels/", "SMARTSIGHT_TRUSTED_PROXIES": "10.0.0.5, 172.16.0.0/12,::1"}
    )
    assert settings.root_path == "/labels"
    assert [str(network) for network in settings.trusted_proxies] == [
        "10.0.0.5/32",
        "172.16.0.0/12",
        "::1/128",
    ]
