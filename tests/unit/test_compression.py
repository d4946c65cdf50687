"""What is compressed, for whom, and that nothing else is changed."""

import asyncio
import gzip
import zlib
from collections.abc import Sequence

import pytest
from starlette.types import Receive, Scope, Send

from results_api.service.compression import CompressionMiddleware
from results_api.service.methods import HeadMiddleware
from tests.unit.asgi import Answered, App, ask

_TEXT = b'{"ref": "https://example.com/a.jpg"}\n' * 1000


def _sends(kind: str, chunks: Sequence[bytes], **headers: str) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        raw.append((b"content-type", kind.encode()))
        if len(chunks) == 1:
            raw.append((b"content-length", str(len(chunks[0])).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        for number, chunk in enumerate(chunks, 1):
            more = number < len(chunks)
            await send({"type": "http.response.body", "body": chunk, "more_body": more})

    return app


def _ask(app: App, method: str = "GET", **headers: str) -> Answered:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return asyncio.run(ask(HeadMiddleware(CompressionMiddleware(app)), "/", named, method=method))


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson", "text/csv; charset=utf-8"])
@pytest.mark.parametrize("chunks", [[_TEXT], [b"", _TEXT, _TEXT, b""], [_TEXT[:10], _TEXT[10:]]])
def test_what_programs_read_is_compressed(kind: str, chunks: list[bytes]) -> None:
    answered = _ask(_sends(kind, chunks, ETag='"x"'), Accept_Encoding="br, gzip")
    assert answered.headers["content-encoding"] == "gzip"
    assert answered.headers["vary"] == "Accept-Encoding"
    assert answered.headers["etag"] == 'W/"x"'
    assert gzip.decompress(answered.body) == b"".join(chunks)
    assert len(answered.body) < len(b"".join(chunks)) / 4
    if len(chunks) == 1:
        assert answered.headers["content-length"] == str(len(answered.body))
    else:
        assert "content-length" not in answered.headers


def test_a_chunk_can_be_read_when_it_has_come() -> None:
    answered = _ask(_sends("application/x-ndjson", [b"one\n", b"two\n", b""]), Accept_Encoding="gzip")
    reader = zlib.decompressobj(wbits=31)
    assert [reader.decompress(message["body"]) for message in answered.messages[1:]] == [
        b"one\n",
        b"two\n",
        b"",
    ]


@pytest.mark.parametrize("accepted", ["", "identity", "gzip;q=0", "br", "*;q=0", "gzip; q=0.0, *"])
def test_who_does_not_accept_it_gets_it_as_it_is(accepted: str) -> None:
    answered = _ask(_sends("text/csv", [_TEXT]), Accept_Encoding=accepted)
    assert "content-encoding" not in answered.headers
    assert answered.headers["vary"] == "Accept-Encoding"
    assert answered.body == _TEXT


@pytest.mark.parametrize(
    "kind", ["text/event-stream", "image/jpeg", "text/html", "application/vnd.apache.parquet"]
)
def test_events_pages_and_what_is_compressed_already_are_left_alone(kind: str) -> None:
    answered = _ask(_sends(kind, [_TEXT, _TEXT]), Accept_Encoding="gzip")
    assert "content-encoding" not in answered.headers
    assert answered.body == _TEXT + _TEXT


def test_lengths_tell_nothing_where_another_site_could_ask() -> None:
    app = _sends("application/json", [_TEXT])
    assert "content-encoding" not in _ask(app, Accept_Encoding="gzip", Cookie="smartsight_key=x").headers
    assert "content-encoding" not in _ask(app, "POST", Accept_Encoding="gzip").headers
    shown = {"Cookie": "other=1", "Authorization": "Bearer x"}
    assert "content-encoding" in _ask(app, Accept_Encoding="gzip", **shown).headers


def test_little_is_not_worth_it() -> None:
    assert "content-encoding" not in _ask(_sends("application/json", [b"{}"]), Accept_Encoding="gzip").headers


def test_head_has_the_headers_of_get() -> None:
    app = _sends("application/json", [_TEXT])
    head, get = (_ask(app, method, Accept_Encoding="gzip") for method in ("HEAD", "GET"))
    assert (head.body, head.headers) == (b"", get.headers)


def test_a_response_that_ends_before_its_body_has_its_start() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/csv")]}
        await send(start)

    answered = _ask(broken, Accept_Encoding="gzip")
    assert [message["type"] for message in answered.messages] == ["http.response.start"]
