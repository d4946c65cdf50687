"""A receiver of webhooks, which answers as a test says, over HTTP or over HTTPS."""

import ssl
import subprocess
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One answer; ``announced`` is the length that it claims to have, and ``chunks`` repeats its body."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    chunks: int = 1
    announced: int | None = None


@dataclass(frozen=True)
class Received:
    """One request; the names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing: whoever asked has gone, as a test wanted."""


class Receiver:
    """Gives these replies by turns, the last one again and again; nothing before it is ``open``."""

    def __init__(self, *replies: Reply, certificate: Path | None = None) -> None:
        self._replies = replies or (Reply(),)
        self.received: list[Received] = []
        #: Bytes of bodies that callers took, or the kernel for them.
        self.sent = 0
        self.connections = 0
        self.open = threading.Event()
        self.open.set()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.port: int = self._server.server_address[1]
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.open.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, received: Received) -> Reply:
        with self._lock:
            self.received.append(received)
            return self._replies[min(len(self.received), len(self._replies)) - 1]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                receiver.connections += 1
                super().setup()

            def do_POST(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers.get("content-length", "0")))
                reply = receiver._take(Received(self.command, self.path, headers, body))
                receiver.open.wait()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                length = len(reply.body) * reply.chunks
                self.send_header("Content-Length", str(reply.announced or length))
                self.end_headers()
                for _ in range(reply.chunks):
                    self.wfile.write(reply.body)
                    receiver.sent += len(reply.body)
                self.close_connection = True

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def make_certificate(folder: Path, host: str) -> Path:
    """Return a file with a key and a certificate for a host, signed by nobody but itself."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-days", "2", "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    certificate.write_bytes(key.read_bytes() + certificate.read_bytes())
    return certificate
