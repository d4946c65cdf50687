"""A TCP proxy that can make the network slow, silent or broken."""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")

_CHUNK = 65536
_PATIENCE = 10
#: Linger for no time: closing sends a reset instead of a farewell.
_NO_LINGER = struct.pack("ii", 1, 0)


class TcpProxy:
    """Forwards connections to a server; at first it passes everything on."""

    def __init__(self, target_host: str, target_port: int) -> None:
        self._target = (target_host, target_port)
        self._delay = 0.0
        self._refusing = False
        self._passing = asyncio.Event()
        self._passing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="TcpProxy", daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def pass_on(self) -> None:
        """Forward everything at once, beginning with what was held back."""
        self._run(self._set_mode())

    def delay(self, seconds: float) -> None:
        """Forward every piece so much later."""
        self._run(self._set_mode(delay=seconds))

    def blackhole(self) -> None:
        """Accept and keep connections, but forward nothing until told to pass on again."""
        self._run(self._set_mode(passing=False))

    def reset(self) -> None:
        """Reset all connections, and new ones as soon as they come."""
        self._run(self._set_mode(refusing=True))

    def close(self) -> None:
        if self._loop.is_closed():
            return
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, _Result]) -> _Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_PATIENCE)

    async def _set_mode(self, delay: float = 0, passing: bool = True, refusing: bool = False) -> None:
        self._delay = delay
        self._refusing = refusing
        if refusing:
            await self._reset_all()
        if passing:
            self._passing.set()
        else:
            self._passing.clear()

    async def _end(self) -> None:
        self._server.close()
        await self._reset_all()

    async def _reset_all(self) -> None:
        for writer in self._writers:
            _reset(writer)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if not self._refusing:
                await self._forward(reader, writer)
        except OSError:
            pass  # one end has gone: the other is told below
        finally:
            _reset(writer)
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._passing.wait()
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._writers.add(far_writer)
        try:
            async with asyncio.TaskGroup() as both_ways:
                both_ways.create_task(self._pump(reader, far_writer))
                both_ways.create_task(self._pump(far_reader, writer))
        finally:
            far_writer.close()
            self._writers.discard(far_writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one direction until its end, and the end, too."""
        while chunk := await reader.read(_CHUNK):
            await asyncio.sleep(self._delay)
            await self._passing.wait()
            writer.write(chunk)
            await writer.drain()
        await self._passing.wait()
        writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket = writer.get_extra_info("socket")
    if connection.fileno() != -1:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    writer.transport.abort()
