"""The service on a real socket: those who send slowly, break off or do not read, and its end."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from email.message import Message
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.servers.waiting import wait_until

_ROOT = Path(__file__).parents[2]
_PATIENCE = 30
_HEAD = b"POST /uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"


class Answer(NamedTuple):
    status: int
    headers: Message
    body: bytes


class Service:
    """A running service, and what can be seen of it."""

    def __init__(self, folder: Path, limits: dict[str, float], settings: dict[str, str]) -> None:
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.servers.uploads", str(folder / "test.db"), json.dumps(limits)],
                cwd=_ROOT,
                env=os.environ | settings,
                stderr=log,
            )
        wait_until(lambda: self._port() or self.process.poll() is not None, _PATIENCE, "the service")
        self.port = self._port()

    def _port(self) -> int:
        found = re.search(r"Listening on http://127\.0\.0\.1:(\d+)\n", self.log)
        return int(found[1]) if found else 0

    @property
    def log(self) -> str:
        return self._log.read_text()

    def connect(self, said: bytes = b"") -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=_PATIENCE)
        connection.sendall(said)
        return connection

    def get(self, path: str, method: str = "GET") -> "Answer":
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)) as connection:
            connection.request(method, path)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())

    def in_hand(self) -> int:
        """Return how many requests are in hand beside this one."""
        numbers = self.get("/metrics").body.decode()
        found = re.search(r"^smartsight_api_requests_in_hand (\d+)", numbers, re.MULTILINE)
        assert found
        return int(found[1]) - 1

    def wait_in_hand(self, count: int) -> None:
        wait_until(lambda: self.in_hand() == count, _PATIENCE, f"{count} requests in hand")

    def drain(self) -> None:
        """Tell it to end, and wait until it has heard."""
        self.process.send_signal(signal.SIGTERM)
        wait_until(lambda: self.get("/readyz").status == 503, _PATIENCE, "the service to drain")


Start = Callable[..., Service]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:

        def start(limits: dict[str, float] | None = None, **settings: str) -> Service:
            service = Service(tmp_path, limits or {}, settings)
            stack.callback(service.process.wait)
            stack.callback(service.process.kill)
            assert service.port, service.log
            return service

        yield start


def _all(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    with closing(connection):
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def _read_to(connection: socket.socket, words: bytes) -> None:
    """Read until these words have come."""
    found = b""
    while words not in found:
        found += (part := connection.recv(65_536))
        assert part, found


def test_what_is_in_hand_is_answered_before_the_end_and_what_comes_then_is_turned_away(start: Start) -> None:
    service = start()
    upload, idle = service.connect(_HEAD + b"12345"), service.connect()
    service.wait_in_hand(1)
    service.drain()
    late = service.get("/uploads", "POST")
    assert (late.status, late.headers["Connection"]) == (503, "close")
    assert json.loads(late.body)["error"]["type"] == "shutting_down"
    assert service.get("/livez").status == 200
    upload.sendall(b"67890")
    answer = _all(upload)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"\r\n\r\n10")
    assert service.process.wait(_PATIENCE) == 0
    assert _all(idle) == b""
    with pytest.raises(ConnectionRefusedError):
        service.connect()
    assert "Traceback" not in service.log


def test_a_stream_without_an_end_of_its_own_ends_with_the_service(start: Start) -> None:
    service = start()
    with service.connect(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n") as events:
        _read_to(events, b"begin\n")
        service.process.send_signal(signal.SIGINT)
        _read_to(events, b"end\n")
    assert service.process.wait(_PATIENCE) == 0


def test_what_does_not_end_is_turned_away_when_the_time_is_up(start: Start) -> None:
    service = start(SMARTSIGHT_DRAIN_TIMEOUT="0.3")
    upload = service.connect(_HEAD + b"12345")
    service.wait_in_hand(1)
    service.process.send_signal(signal.SIGTERM)
    assert _all(upload).startswith(b"HTTP/1.1 503")
    assert service.process.wait(_PATIENCE) == 0
    assert "Traceback" not in service.log


def test_threads_that_nothing_can_stop_do_not_hold_the_end_up(start: Start) -> None:
    service = start({"exit_grace": 3}, SMARTSIGHT_DRAIN_TIMEOUT="0.3")
    asking = service.connect(b"GET /threads HTTP/1.1\r\nHost: a\r\n\r\n")
    service.wait_in_hand(1)
    service.process.send_signal(signal.SIGTERM)
    assert _all(asking).startswith(b"HTTP/1.1 503")
    assert service.process.wait(_PATIENCE) == 0
    assert "exited without waiting for threads" in service.log
    assert "Traceback" not in service.log


def test_the_second_signal_ends_it_at_once(start: Start) -> None:
    service = start()
    upload = service.connect(_HEAD)
    service.wait_in_hand(1)
    service.drain()
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(_PATIENCE) == 128 + signal.SIGTERM
    upload.close()


def test_an_upload_that_stalls_is_ended(start: Start) -> None:
    service = start(SMARTSIGHT_BODY_PAUSE="0.2")
    answer = _all(service.connect(_HEAD + b"12345"))
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"type":"request_timeout"' in answer
    assert b"connection: close\r\n" in answer.lower()
    assert service.in_hand() == 0


def test_an_upload_that_only_drips_is_ended(start: Start) -> None:
    service = start(SMARTSIGHT_BODY_PAUSE="5", SMARTSIGHT_BODY_TIMEOUT="0.3")
    with service.connect(_HEAD) as upload:
        upload.settimeout(0.2)
        for _ in range(9):
            upload.sendall(b"1")
            try:
                assert upload.recv(12) == b"HTTP/1.1 408"
                return
            except TimeoutError:
                pass
    raise AssertionError("the upload was not ended")


@pytest.mark.parametrize("half", [True, False])
def test_an_upload_that_breaks_off_leaves_nothing_behind(start: Start, half: bool) -> None:
    service = start()
    upload = service.connect(_HEAD + b"12345")
    service.wait_in_hand(1)
    if half:
        upload.shutdown(socket.SHUT_WR)
        assert _all(upload) == b""
    else:
        upload.close()
    service.wait_in_hand(0)
    assert service.get("/livez").status == 200
    wait_until(
        lambda: "method=POST path=/uploads route=/uploads status=499" in service.log,
        _PATIENCE,
        "the line of the request",
    )
    assert "Traceback" not in service.log


def test_a_request_whose_head_does_not_come_is_not_waited_for(start: Start) -> None:
    service = start({"head": 0.2})
    assert _all(service.connect()) == b""
    assert _all(service.connect(b"GET /livez HTTP/1.1\r\nHost:")) == b""
    with service.connect(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n") as connection:
        assert connection.recv(15) == b"HTTP/1.1 200 OK"


def test_a_head_has_an_end(start: Start) -> None:
    service = start({"head_bytes": 2000})
    head = b"GET /livez HTTP/1.1\r\nHost: a\r\nX: "
    with service.connect(head + 3000 * b"x") as connection:
        assert connection.recv(12) == b"HTTP/1.1 431"
    with service.connect(head + 1000 * b"x" + b"\r\n\r\n") as connection:
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_the_rest_of_a_body_that_was_answered_is_not_waited_for(start: Start) -> None:
    service = start({"rest": 0.2})
    answer = _all(service.connect(_HEAD.replace(b"uploads", b"refusals") + b"1"))
    assert answer.startswith(b"HTTP/1.1 403")
    service = start({"rest": 5})
    with service.connect(_HEAD.replace(b"uploads", b"refusals") + b"1") as connection:
        _read_to(connection, b"body")
        connection.sendall(b"234567890GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        _read_to(connection, b"200 OK")


def test_who_does_not_read_is_let_go(start: Start) -> None:
    service = start({"reading": 0.2})
    with service.connect(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n") as connection:
        assert connection.recv(1)
        service.wait_in_hand(0)
    assert "Traceback" not in service.log


def test_a_client_of_http_1_0_gets_no_chunks(start: Start) -> None:
    service = start()
    head, _, body = _all(service.connect(b"GET /chunks HTTP/1.0\r\n\r\n")).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert body == b"onetwo"
    sized = _all(service.connect(b"GET /livez HTTP/1.0\r\n\r\n"))
    assert b"\r\ncontent-length: " in sized.lower()
    assert b"transfer-encoding: chunked" in _all(
        service.connect(b"GET /chunks HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    )
    assert _all(service.connect(b"HEAD /chunks HTTP/1.0\r\n\r\n")).endswith(b"\r\n\r\n")
    assert "Traceback" not in service.log


def test_a_client_of_http_1_0_does_not_take_a_part_for_the_whole(start: Start) -> None:
    with pytest.raises(ConnectionResetError):
        _all(start().connect(b"GET /broken HTTP/1.0\r\n\r\n"))


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(start: Start) -> None:
    service = start()
    head = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 14000000\r\n"
    for kind in (b"image/jpeg", b"multipart/form-data; boundary=x"):
        typed = head + b"Content-Type: " + kind + b"\r\n"
        answer = _all(service.connect(typed + b"Expect: 100-continue\r\n\r\n"))
        assert answer.startswith(b"HTTP/1.1 413"), answer
        assert b"\r\nconnection: close" in answer.lower()
        with service.connect(typed + b"\r\n") as connection:  # it sends on, and may read meanwhile
            assert connection.recv(12) == b"HTTP/1.1 413"
    with service.connect(head.replace(b"14000000", b"1000") + b"Expect: 100-continue\r\n\r\n") as small:
        assert small.recv(21) == b"HTTP/1.1 100 Continue"


def test_a_body_of_unknown_size_is_refused_when_it_is_too_large(start: Start) -> None:
    service = start(SMARTSIGHT_UPLOAD_BYTES="100000")
    head = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with service.connect(head) as connection:
        connection.sendall(b"186a1\r\n" + 100_001 * b"x" + b"\r\n")  # and no end
        assert connection.recv(12) == b"HTTP/1.1 413"
