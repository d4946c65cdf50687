"""The tests' web where it does not speak proper HTTP, or never comes to an end."""

import asyncio
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache

from tests.servers.web_answers import Answer
from tests.servers.web_observed import Observed

_HANG = 3600.0
_DRIP = 0.2
#: Between two lines of a flood: it shall be endless, and not take the machine from the other tests.
_FLOOD = 0.005
_BOMB_SIZE = 50_000_000
_CHUNK = 16_384
_CLAIMED = 999_999_999_999
#: A connection that is closed with this ends in a reset.
_NO_LINGER = struct.pack("ii", 1, 0)


class Wire:
    """A connection on which one request is being answered."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, observed: Observed, target: str
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._observed = observed
        self._target = target

    async def send(self, data: bytes) -> None:
        """Send this as fast as the caller takes it, or raise ``OSError`` when it has gone."""
        for start in range(0, len(data), _CHUNK):
            piece = data[start : start + _CHUNK]
            self._writer.write(piece)
            await self._writer.drain()
            self._observed.count_sent(self._target, len(piece))

    async def wait(self, seconds: float) -> None:
        """Wait, or raise ``ConnectionResetError`` as soon as the caller has gone."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await self._reader.read(_CHUNK):
                    pass  # nothing more is wanted of the caller
                raise ConnectionResetError

    async def drip(self, data: bytes) -> None:
        for byte in data:
            await self.send(bytes([byte]))
            await self.wait(_DRIP)

    def reset(self) -> None:
        raw: socket.socket = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._writer.transport.abort()


Attack = Callable[[Wire, Answer], Awaitable[None]]


def head(status: int, headers: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Status\r\n{lines}\r\n".encode()


def _head(picture: Answer, **headers: str) -> bytes:
    return head(200, picture.headers | {name.replace("_", "-"): value for name, value in headers.items()})


async def _hang(wire: Wire, _picture: Answer) -> None:
    await wire.wait(_HANG)


async def _drip(wire: Wire, picture: Answer) -> None:
    await wire.send(_head(picture, Content_Length=str(len(picture.body))))
    await wire.drip(picture.body)


async def _header_drip(wire: Wire, picture: Answer) -> None:
    await wire.drip(_head(picture, X_Slow="z" * 100_000))


async def _endless_body(wire: Wire, picture: Answer) -> None:
    """Begin with a picture, so that whoever looks at the first bytes only is content."""
    await wire.send(_head(picture, Transfer_Encoding="chunked"))
    await wire.send(b"%x\r\n%s\r\n" % (len(picture.body), picture.body))
    while True:
        await wire.send(b"%x\r\n%s\r\n" % (_CHUNK, b"x" * _CHUNK))


async def _endless_headers(wire: Wire, _picture: Answer) -> None:
    await wire.send(b"HTTP/1.1 200 Status\r\n")
    while True:
        await wire.send(b"X-More: there is more to come\r\n" * 500)
        await wire.wait(_FLOOD)


async def _continue(wire: Wire, _picture: Answer) -> None:
    while True:
        await wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await wire.wait(_FLOOD)


async def _claim(wire: Wire, picture: Answer) -> None:
    """Promise a terabyte, and keep silent after one picture."""
    await wire.send(_head(picture, Content_Length=str(_CLAIMED)) + picture.body)
    await wire.wait(_HANG)


async def _gzip(wire: Wire, picture: Answer) -> None:
    bomb = await asyncio.to_thread(_bomb)  # the other hosts shall not wait for it
    await wire.send(_head(picture, Content_Encoding="gzip", Content_Length=str(len(bomb))) + bomb)


@cache
def _bomb() -> bytes:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    zeros = bytes(_BOMB_SIZE // 50)
    return b"".join(packer.compress(zeros) for _ in range(50)) + packer.flush()


async def _short(wire: Wire, picture: Answer) -> None:
    half = picture.body[: len(picture.body) // 2]
    await wire.send(_head(picture, Content_Length=str(len(picture.body))) + half)


async def _closed(_wire: Wire, _picture: Answer) -> None:
    pass  # whoever calls this closes the connection


async def _reset(wire: Wire, picture: Answer) -> None:
    await _short(wire, picture)
    wire.reset()


async def _old(wire: Wire, picture: Answer) -> None:
    """Answer as in HTTP/0.9: the body, without a head."""
    await wire.send(picture.body)


async def _garbage(wire: Wire, _picture: Answer) -> None:
    await wire.send(bytes(range(256)) * 16)


async def _moved_latin1(wire: Wire, _picture: Answer) -> None:
    """Redirect to a URL in Latin-1, with a space."""
    await wire.send(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /ok/caf\xe9 1.jpg\r\n\r\n")


ATTACKS: dict[str, Attack] = {
    "hang": _hang,
    "drip": _drip,
    "header-drip": _header_drip,
    "endless-body": _endless_body,
    "endless-headers": _endless_headers,
    "continue": _continue,
    "claim": _claim,
    "gzip": _gzip,
    "short": _short,
    "closed": _closed,
    "reset": _reset,
    "old": _old,
    "garbage": _garbage,
    "moved-latin1": _moved_latin1,
}
