"""Serve pictures like many web hosts, as cheaply as one process can, some of them in trouble on request.

/NUMBER is the picture of that number, counted round, with the number behind its end, so that no two are
the same. /slow/NUMBER comes late, /drip/NUMBER never ends, /hang/NUMBER never comes. The silent hosts never
answer anything. Run as a program, it prints its port and serves until it is killed.
"""

import asyncio
import re
import socket
import sys
from functools import partial
from pathlib import Path

#: Addresses; each is one host.
HOSTS = 50
SILENT_HOSTS = 2
#: Delay of a slow picture, in seconds.
_LATE = 2.0
#: Seconds between the bytes of a picture that is sent byte by byte.
_DRIP = 0.5
#: Large enough to send most pictures with one system call.
_SEND_BUFFER = 1 << 20
_BACKLOG = 1024
_DIGITS = 12

_REQUEST = re.compile(rb"GET /(?:(slow|drip|hang)/)?(\d+)[ ?]")
_MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


def address(host: int) -> str:
    """Return the address of a host."""
    return f"127.0.1.{host + 1}"


def silent_address(host: int) -> str:
    """Return the address of a host that accepts connections and never answers."""
    return f"127.0.2.{host + 1}"


async def serve(paths: list[Path]) -> None:
    """Serve until killed."""
    answers = [_answer(path.read_bytes()) for path in paths]
    port = await _listen(partial(_Pictures, answers), list(map(address, range(HOSTS))), 0)
    await _listen(_Silence, list(map(silent_address, range(SILENT_HOSTS))), port)
    print(port, flush=True)
    await asyncio.Event().wait()


def _answer(picture: bytes) -> bytes:
    length = len(picture) + _DIGITS
    head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n"
    return head.encode() + picture


async def _listen(protocol: "partial[_Pictures] | type[_Silence]", hosts: list[str], port: int) -> int:
    """Listen on all addresses at one port, by default a free one, and return it."""
    loop = asyncio.get_running_loop()
    for host in hosts:
        server = await loop.create_server(protocol, host, port, backlog=_BACKLOG)
        port = server.sockets[0].getsockname()[1]
    return port


class _Pictures(asyncio.Protocol):
    """One connection, kept alive unless the client wants it closed."""

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = answers
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received.endswith(b"\r\n\r\n"):
            request, self._received = self._received, b""
            self._reply(request)

    def _reply(self, request: bytes) -> None:
        asked = _REQUEST.match(request)
        if asked is None:  # such as /robots.txt
            self._send(_MISSING, request)
            return
        number = int(asked[2])
        answer = b"%b%0*d" % (self._answers[number % len(self._answers)], _DIGITS, number)
        if asked[1] is None:
            self._send(answer, request)
        elif asked[1] == b"slow":
            asyncio.get_running_loop().call_later(_LATE, self._send, answer, request)
        elif asked[1] == b"drip":
            self._drip(answer, 0)

    def _send(self, answer: bytes, request: bytes) -> None:
        self._transport.write(answer)
        if b"\r\nConnection: close\r\n" in request:
            self._transport.close()

    def _drip(self, answer: bytes, place: int) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer[place : place + 1])
            asyncio.get_running_loop().call_later(_DRIP, self._drip, answer, place + 1)


class _Silence(asyncio.Protocol):
    """A connection that is never answered."""


if __name__ == "__main__":
    asyncio.run(serve([Path(argument) for argument in sys.argv[1:]]))
