"""A web server of pictures, each different from all others unless asked otherwise, with some trouble."""

import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_SLOW = 0.5
_HANG = 3600


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    #: A whole fleet calls at once; the default, 5, turns callers away.
    request_queue_size = 512

    def handle_error(self, *_: Any) -> None:
        """Say nothing: whoever asked was killed, as a test wanted."""


class PictureServer:
    """Serves ``/pictures/NUMBER`` and the like, and counts what it was asked for.

    ``pictures`` are files that are told apart by bytes behind their end, which decoders do not mind;
    ``same`` has none of them. ``broken`` is no image; ``missing`` and ``error`` are HTTP failures; ``flaky``
    fails the first time; ``busy`` asks for some seconds' time then; ``slow`` and ``hang`` take long.
    ``poison`` is a picture that carries a word.
    """

    def __init__(self, samples: Path) -> None:
        self._files = [file.read_bytes() for file in sorted(samples.glob("*.*g"))]
        self.names = [file.stem for file in sorted(samples.glob("*.*g"))]
        self.asked: Counter[str] = Counter()
        self.hangs = _HANG
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def place(self) -> str:
        """Host and port, as the setting names them that lets workers in."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def url(self, kind: str, number: int) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/{kind}/{number}"

    def urls(self, kind: str, count: int, start: int = 0) -> list[str]:
        return [self.url(kind, number) for number in range(start, start + count)]

    def sample_of(self, number: int) -> str:
        """Return the name of the sample that this picture is."""
        return self.names[number % len(self.names)]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        pictures = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                kind, number = self.path.partition("?")[0].strip("/").split("/")
                with pictures._lock:
                    pictures.asked[self.path] += 1
                    times = pictures.asked[self.path]
                status, body, headers = pictures._answer(kind, int(number), times)
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # whoever asked has gone

            def log_message(self, *_: Any) -> None:
                pass

        return Handler

    def _answer(self, kind: str, number: int, times: int) -> tuple[int, bytes, dict[str, str]]:
        picture = self._files[number % len(self._files)]
        if kind == "missing" or kind == "error":
            return {"missing": 404, "error": 500}[kind], b"", {}
        if kind == "flaky" and times == 1:
            return 503, b"", {}
        if kind == "busy" and times == 1:
            return 429, b"", {"Retry-After": str(number)}
        if kind == "broken":
            return 200, b"no picture %d" % number, {}
        if kind in ("slow", "hang"):
            time.sleep(_SLOW if kind == "slow" else self.hangs)
        mark = {"same": b"", "poison": b"deadly poison %d" % number}.get(
            kind, b"%s %d" % (kind.encode(), number)
        )
        return 200, picture + mark, {}
