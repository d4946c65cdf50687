"""An HTTP server that gives the answers of a script, one a request, and remembers what it was asked."""

import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Seen:
    """One request."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Scripted:
    """One answer, which takes so many ``seconds``.

    ``cut`` breaks it off behind so many bytes, and ``unread`` before the request is read.
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    cut: int | None = None
    unread: bool = False
    seconds: float = 0.0


def ok(data: Any, status: int = 200, next_cursor: str | None = None, **headers: str) -> Scripted:
    """Answer as the API does."""
    meta = {"type": "success", "code": status, "next_cursor": next_cursor}
    return Scripted(status, json.dumps({"meta": meta, "data": data}).encode(), _named(headers))


def failed(status: int, type: str, message: str, **headers: str) -> Scripted:
    """Fail as the API does."""
    error = {"code": status, "message": message, "url": f"/docs/errors#{type}", "type": type}
    return Scripted(status, json.dumps({"error": error}).encode(), _named(headers))


def page(status: int, body: bytes = b"<html>", **headers: str) -> Scripted:
    """Answer as something else does."""
    return Scripted(status, body, {"Content-Type": "text/html"} | _named(headers))


def rows(*rows: Mapping[str, Any], cut: int | None = None, **headers: str) -> Scripted:
    """Answer with a stream of results."""
    body = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return Scripted(200, body, {"Content-Type": "application/x-ndjson"} | _named(headers), cut)


def hung_up(unread: bool = False) -> Scripted:
    """Give no answer, but end the connection."""
    return Scripted(200, b"", {}, cut=-1, unread=unread)


def late(scripted: Scripted, seconds: float) -> Scripted:
    """Give an answer after some time."""
    return replace(scripted, seconds=seconds)


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


class ScriptedApi:
    """Listens on this machine until it is closed."""

    def __init__(self) -> None:
        self.script: list[Scripted] = []
        self.seen: list[Seen] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                scripted = api.script.pop(0)
                url = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(url.query).items()}
                length = 0 if scripted.unread else int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                api.seen.append(Seen(self.command, url.path, query, dict(self.headers), body))
                time.sleep(scripted.seconds)
                with suppress(OSError):  # whoever asked has gone
                    _send(self, scripted)

            do_GET = do_POST = do_DELETE = _answer

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def _send(handler: BaseHTTPRequestHandler, scripted: Scripted) -> None:
    broken = scripted.cut is not None
    if scripted.cut != -1:
        handler.send_response(scripted.status)
        for name, value in scripted.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(scripted.body)))
        handler.end_headers()
        handler.wfile.write(scripted.body[: scripted.cut])
    handler.close_connection = broken
