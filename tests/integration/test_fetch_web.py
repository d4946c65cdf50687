"""The plain web fetcher against a real server on this machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from shared.errors import Code, ItemError
from worker.fetching.fetcher import Fetched, FileFetcher, SchemeFetcher
from worker.fetching.web import WebFetcher, code_of_status, retry_after

_LIMIT = 1000
_TIMEOUT = 0.5


async def _picture(_request: web.Request) -> web.Response:
    return web.Response(body=b"picture", content_type="text/plain")


async def _status(request: web.Request) -> web.Response:
    return web.Response(status=int(request.match_info["status"]))


async def _redirect(request: web.Request) -> web.Response:
    hops = int(request.match_info["hops"])
    raise web.HTTPFound(f"/redirect/{hops - 1}" if hops else "/picture")


async def _endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b"x" * 500)


async def _slow(_request: web.Request) -> web.Response:
    await asyncio.sleep(60)
    return web.Response()


async def _short(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Length": "100"})
    await answer.prepare(request)
    await answer.write(b"x" * 10)
    assert request.transport is not None
    request.transport.close()
    return answer


async def _elsewhere(_request: web.Request) -> web.Response:
    raise web.HTTPFound("file:///etc/passwd")


@asynccontextmanager
async def _server() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/picture", _picture)
    app.router.add_get("/status/{status}", _status)
    app.router.add_get("/redirect/{hops}", _redirect)
    for handler in (_endless, _slow, _short, _elsewhere):
        app.router.add_get(f"/{handler.__name__[1:]}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def _fetch(path: str) -> Fetched:
    async def fetch() -> Fetched:
        async with _server() as base:
            fetcher = WebFetcher(_LIMIT, _TIMEOUT)
            try:
                return await fetcher.fetch(path if "://" in path else base + path)
            finally:
                await fetcher.close()

    return asyncio.run(fetch())


def _failure(path: str) -> ItemError:
    with pytest.raises(ItemError) as caught:
        _fetch(path)
    return caught.value


def test_an_answer_is_returned_with_where_it_came_from() -> None:
    fetched = _fetch("/redirect/2")
    assert fetched.read() == b"picture"
    assert fetched.http_status == 200
    assert fetched.final_url is not None
    assert fetched.final_url.endswith("/picture")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/status/404", Code.HTTP_404),
        ("/redirect/9", Code.TOO_MANY_REDIRECTS),
        ("/endless", Code.TOO_MANY_BYTES),
        ("/slow", Code.FETCH_TIMEOUT),
        ("/short", Code.FETCH_FAILED),
        ("/elsewhere", Code.URL_NOT_ALLOWED),
        ("http://127.0.0.1:9/", Code.CONNECT_FAILED),
        ("http://no-such-host.invalid/", Code.DNS_FAILED),
        ("ftp://host/a.jpg", Code.URL_NOT_ALLOWED),
        ("http://[::1/", Code.URL_NOT_ALLOWED),
        ("http:///nohost", Code.URL_NOT_ALLOWED),
        ("http://a..b/", Code.URL_NOT_ALLOWED),
        (f"http://{'a' * 70}.com/", Code.URL_NOT_ALLOWED),
    ],
)
def test_each_failure_has_its_code(path: str, code: Code) -> None:
    assert _failure(path).code is code


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (204, Code.HTTP_UNEXPECTED),
        (304, Code.HTTP_UNEXPECTED),
        (400, Code.HTTP_4XX),
        (401, Code.HTTP_401),
        (403, Code.HTTP_403),
        (410, Code.HTTP_410),
        (418, Code.HTTP_4XX),
        (429, Code.RATE_LIMITED),
        (500, Code.HTTP_5XX),
        (503, Code.HTTP_5XX),
    ],
)
def test_each_status_has_its_code(status: int, code: Code) -> None:
    assert code_of_status(status) is code


def test_the_status_of_a_refusal_is_kept() -> None:
    assert _failure("/status/403").http_status == 403


def test_paths_and_urls_go_their_ways(tmp_path: object) -> None:
    def named(name: str) -> "_Named":
        return _Named(name)

    async def fetch() -> list[bytes]:
        fetcher = SchemeFetcher(web=named("web"), files=named("files"))
        refs = ("http://host/a.jpg", "a.jpg", "ftp://x/y", "dir/a:b.jpg")
        return [(await fetcher.fetch(ref)).read() for ref in refs]

    assert asyncio.run(fetch()) == [b"web", b"files", b"web", b"files"]


class _Named:
    def __init__(self, name: str) -> None:
        self._name = name

    async def fetch(self, ref: str) -> Fetched:
        return Fetched(lambda: self._name.encode())

    async def close(self) -> None:
        pass


def test_the_file_fetcher_does_not_touch_the_disk_before_it_is_asked_to_read() -> None:
    fetched = asyncio.run(FileFetcher(_LIMIT).fetch("missing.jpg"))
    with pytest.raises(ItemError):
        fetched.read()


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
