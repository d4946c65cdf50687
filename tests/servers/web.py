"""A hostile and slow web of many hosts, each on an address of its own of this machine, all on one port."""

import asyncio
import errno
import json
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.servers.ports import free_port
from tests.servers.web_answers import Asked, Gallery, answer
from tests.servers.web_attacks import ATTACKS, Wire, head
from tests.servers.web_hosts import ADDRESSES, HOSTS, NAMES, SHUT, TRAP6, TRAPS, Names
from tests.servers.web_observed import ROBOTS, Observed

_INJECT = Path(__file__).parents[1] / "web_inject"
_ROOT = Path(__file__).parents[2]
#: A whole fleet calls at once.
_BACKLOG = 512
#: Bytes that the kernel takes from us before the caller does: few, so that what was sent was nearly taken.
_SEND_BUFFER = 65_536
_SLOW = 0.5
#: Where ``tcpi_last_data_recv`` stands in what Linux tells of a connection (linux/tcp.h).
_LAST_DATA_RECEIVED = 52
#: Seconds within which every connection can be cut.
_PATIENCE = 30
_TRIES = 5
#: Under this name stands what came to addresses that nobody may call.
TRAP = "trap"


class Web:
    """Serves `/KIND/NUMBER` at every host of `HOSTS`, and observes who asks how.

    Pictures are `ok`, `plain` (as text/plain), `private` (as a robots.txt calls it), `slow`, `etag` and
    `modified` (with 304), `flaky-short` (cut short at first), `429` and `503` (busy for as long as
    `?after=SECONDS&times=HOW_OFTEN` says), `same` (the same bytes at each number) and `gone` (redirects to
    one stand-in for all numbers). `status/NNN`, `hops/N`, `redirect/WORD`, `to/HEX` and `html` are other
    proper answers, `ATTACKS` improper ones.
    """

    def __init__(self, samples: Path) -> None:
        self.gallery = Gallery(samples)
        self._observed = {name: Observed() for name in (*HOSTS, TRAP)}
        self._hosts = {address: name for name, addresses in ADDRESSES.items() for address in addresses}
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        try:
            self._server, self.port = self._run(self._listen())
        except BaseException:
            self._end_loop()
            raise

    def url(self, host: str, path: str) -> str:
        return f"http://{host}:{self.port}{path}"

    def urls(self, host: str, kind: str, count: int) -> list[str]:
        return [self.url(host, f"/{kind}/{number}") for number in range(count)]

    def address_of(self, host: str) -> str:
        """Return the address, the first one if there are more."""
        return ADDRESSES[host][0]

    def sample_of(self, number: int) -> str:
        """Return the name of the sample that the picture of this number is."""
        return self.gallery.names[number % len(self.gallery.names)]

    def observed(self, host: str) -> Observed:
        return self._observed[host]

    def requests_in_all(self) -> int:
        return sum(observed.requests.total() for observed in self._observed.values())

    @property
    def names(self) -> Names:
        """What a resolver answers; names that are not there do not exist."""
        return NAMES

    @property
    def open(self) -> list[tuple[str, int]]:
        """The addresses and ports that a guard shall let through, as if they were public."""
        return [(address, self.port) for address in (*self._hosts, SHUT)]

    def injection(self, folder: Path) -> dict[str, str]:
        """Return the settings of a process that shall find this web; a file in the folder tells it how."""
        file = folder / f"web{self.port}.json"
        file.write_text(json.dumps({"hosts": self.names, "open": self.open}))
        return {
            "PYTHONPATH": f"{_INJECT}:{_ROOT}",
            "SMARTSIGHT_TEST_WEB": str(file),
            "SMARTSIGHT_PORTS": f"80,443,{self.port}",
        }

    def close(self) -> None:
        """Cut every connection."""
        self._run(self._stop())
        self._end_loop()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> tuple[asyncio.Server, int]:
        for _ in range(_TRIES):
            port = free_port()
            try:
                return await self._listen_at(port), port
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        raise RuntimeError("no port is free at all addresses")

    async def _listen_at(self, port: int) -> asyncio.Server:
        addresses = [*self._hosts, *TRAPS, *([TRAP6] if _has_ipv6() else [])]
        server = await asyncio.start_server(
            self._accept, addresses, port, backlog=_BACKLOG, start_serving=False
        )
        for listener in server.sockets:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        await server.start_serving()
        return server

    async def _stop(self) -> None:
        self._server.close()
        writers = list(self._connections.values())
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0)  # the loop closes what was aborted

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(0)
        task = self._loop.create_task(self._converse(reader, writer))
        self._connections[task] = writer
        task.add_done_callback(self._connections.pop)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request after another until one side has had enough."""
        host = self._hosts.get(writer.get_extra_info("sockname")[0], TRAP)
        try:
            # Whoever goes in the middle is one of the cases that this web is for.
            with self._observed[host].connection(), suppress(OSError, EOFError, asyncio.LimitOverrunError):
                while await self._answer_one(host, reader, writer):
                    pass
        finally:
            writer.transport.abort()

    async def _answer_one(
        self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; tell whether the connection can be used on."""
        target, headers = _parsed(await reader.readuntil(b"\r\n\r\n"))
        observed = self._observed[host]
        with observed.request(target, headers, _waited(writer)) as times:
            wire = Wire(reader, writer, observed, target)
            asked = Asked(host, self.port, target, headers, times)
            if headers.get("host", "").lower() != f"{host}:{self.port}":
                observed.misdirected += 1
                await wire.send(head(421, {"Content-Length": "0"}))
                return True
            return await self._answer(asked, wire)

    async def _answer(self, asked: Asked, wire: Wire) -> bool:
        host = HOSTS[asked.host]
        tag = {"X-Robots-Tag": host.tag} if host.tag and asked.path != ROBOTS else {}
        if asked.path == ROBOTS:
            asked = asked.at(host.robots)
        attack = _attack(asked)
        if attack is not None:
            await ATTACKS[attack](wire, self.gallery.own(asked))
            return False
        if asked.kind == "slow":
            await wire.wait(_SLOW)
        reply = answer(asked, self.gallery)
        self._observed[asked.host].not_modified += reply.status == 304
        length = {} if reply.status in (204, 304) else {"Content-Length": str(len(reply.body))}
        await wire.send(head(reply.status, reply.headers | tag | length) + reply.body)
        return True


def _attack(asked: Asked) -> str | None:
    if asked.kind == "flaky-short" and asked.times == 1:
        return "short"
    return asked.kind if asked.kind in ATTACKS else None


def _parsed(request: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = request.decode("latin-1").split("\r\n")[:-2]
    pairs = (line.partition(":") for line in lines)
    target = first.split(" ")[1] if first.count(" ") == 2 else "/"
    return target, {name.strip().lower(): value.strip() for name, _, value in pairs}


def _waited(writer: asyncio.StreamWriter) -> float:
    """Return how long ago the last bytes came, in seconds: the kernel knows, however late we read them."""
    information = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    (milliseconds,) = struct.unpack_from("I", information, _LAST_DATA_RECEIVED)
    return float(milliseconds / 1000)


def _has_ipv6() -> bool:
    try:
        with socket.create_server((TRAP6, 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False
