"""Run the service: uvicorn on uvloop, our own way with signals, and an end in good order."""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
import uvloop

from commands.connections import TimeoutHttpProtocol
from commands.terminal import say
from shared.errors import Code, ResourceError

if TYPE_CHECKING:
    from results_api.service.middleware import Draining

#: An ASGI application.
App = Callable[..., Any]

_log = logging.getLogger("smartsight.api")

#: For what is still there when the time to drain is over, in seconds.
_LAST_WORDS = 2
#: For all that is to end behind that, in seconds: whoever kills what does not end shall not be sooner.
TO_END = 10.0
_BACKLOG = 2048
#: How long a thread may go on when another one wants to, in seconds: with Python's 5 ms, whoever answers
#: waits longer for those who classify than an answer takes.
_SWITCH_INTERVAL = 0.0005
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """Take an address, on which nobody is answered yet; raise ``ResourceError(address_unavailable)``."""
    with _ours(host, port):
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        listener = socket.socket(family, kind, protocol)
    with listener:
        with _ours(host, port):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        yield listener


def serve(
    app: App, listener: socket.socket, draining: "Draining", grace: float, to_end: float = TO_END
) -> None:
    """Answer until SIGINT or SIGTERM, then finish what is in hand within ``grace`` seconds.

    ``to_end`` seconds later the process is over, also if the caller has not returned by then.
    """
    config = uvicorn.Config(
        app,
        http=TimeoutHttpProtocol,
        ws="none",
        lifespan="on",
        workers=1,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=int(TimeoutHttpProtocol.timeouts.idle),
        timeout_graceful_shutdown=_LAST_WORDS,
    )
    sys.setswitchinterval(_SWITCH_INTERVAL)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Server(config, draining, grace, to_end).serve([listener]))


class _Server(uvicorn.Server):
    """Goes on listening while it drains, so that who comes then is told so and not just refused."""

    def __init__(self, config: uvicorn.Config, draining: "Draining", grace: float, to_end: float) -> None:
        super().__init__(config)
        self._draining = draining
        self._grace = grace
        self._to_end = to_end
        self._leaving: asyncio.Task[None] | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals over from the command while the loop runs: an exception would end it anywhere."""
        loop = asyncio.get_running_loop()

        def leave(number: int, _frame: object) -> None:
            for each in _SIGNALS:  # the second time, leave at once: the store is safe
                signal.signal(each, lambda number, _: os._exit(128 + number))
            loop.call_soon_threadsafe(self._leave)

        with _handled(leave):
            yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say where."""
        (listener,) = sockets or []
        host, port = listener.getsockname()[:2]
        with _ours(host, port):
            await super().startup(sockets)
        say(f"Listening on http://{f'[{host}]' if ':' in host else host}:{port}")

    def _leave(self) -> None:
        self._draining.begin(self._grace)
        self._leaving = asyncio.create_task(self._end())
        _end_within(self._grace + self._to_end)

    async def _end(self) -> None:
        await self._draining.finished()
        self.should_exit = True


def _end_within(seconds: float) -> None:
    """End the process then, if it has not ended by itself.

    Python waits for every thread, and nothing stops one that waits for the database, an hour at worst.
    """
    limit = threading.Timer(seconds, _cut_short)
    limit.daemon = True
    limit.start()


def _cut_short() -> None:
    _log.warning("ended without waiting for threads any longer")
    os._exit(0)  # as after a kill, the store has the whole of what they did, or nothing


@contextmanager
def _handled(handler: Callable[[int, object], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


@contextmanager
def _ours(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        detail = f"{host}:{port}: {error.strerror or error}"
        raise ResourceError(Code.ADDRESS_UNAVAILABLE, detail) from error
