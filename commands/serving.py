"""Run the service: uvicorn on uvloop, our own signal handling, and a graceful shutdown."""

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

#: For connections that are still open after draining, in seconds.
_CONNECTION_GRACE = 2
#: From the end of draining until the process has exited, in seconds; a supervisor should wait longer to kill.
EXIT_GRACE = 10.0
_BACKLOG = 2048
#: How long a thread may run while another one waits, in seconds: with Python's 5 ms, the event loop would
#: wait longer for the classifying threads than a response takes.
_SWITCH_INTERVAL = 0.0005
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def bound_socket(host: str, port: int) -> Iterator[socket.socket]:
    """Bind a socket without listening yet; raise ``ResourceError(address_unavailable)``."""
    with _translated(host, port):
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        listener = socket.socket(family, kind, protocol)
    with listener:
        with _translated(host, port):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        yield listener


def serve(
    app: App, listener: socket.socket, draining: "Draining", grace: float, exit_grace: float = EXIT_GRACE
) -> None:
    """Serve until SIGINT or SIGTERM, then finish the requests in progress within ``grace`` seconds.

    The process exits at most ``exit_grace`` seconds later, even if the caller has not returned by then.
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
        timeout_graceful_shutdown=_CONNECTION_GRACE,
    )
    sys.setswitchinterval(_SWITCH_INTERVAL)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Server(config, draining, grace, exit_grace).serve([listener]))


class _Server(uvicorn.Server):
    """Keeps listening while it drains, so that new requests get a response and not a refused connection."""

    def __init__(self, config: uvicorn.Config, draining: "Draining", grace: float, exit_grace: float) -> None:
        super().__init__(config)
        self._draining = draining
        self._grace = grace
        self._exit_grace = exit_grace
        self._shutdown: asyncio.Task[None] | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals here while the loop runs: the command's handler raises, wherever the loop is."""
        loop = asyncio.get_running_loop()

        def shut_down(number: int, _frame: object) -> None:
            for each in _SIGNALS:  # the second time, exit at once: the store is safe
                signal.signal(each, lambda number, _: os._exit(128 + number))
            loop.call_soon_threadsafe(self._begin_shutdown)

        with _signal_handler(shut_down):
            yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start serving, and print the address."""
        (listener,) = sockets or []
        host, port = listener.getsockname()[:2]
        with _translated(host, port):
            await super().startup(sockets)
        say(f"Listening on http://{f'[{host}]' if ':' in host else host}:{port}")

    def _begin_shutdown(self) -> None:
        self._draining.begin(self._grace)
        self._shutdown = asyncio.create_task(self._finish())
        _exit_after(self._grace + self._exit_grace)

    async def _finish(self) -> None:
        await self._draining.finished()
        self.should_exit = True


def _exit_after(seconds: float) -> None:
    """Exit after this time if the process still runs.

    Python waits for every thread at exit, and one that waits for the database can take an hour.
    """
    limit = threading.Timer(seconds, _exit_now)
    limit.daemon = True
    limit.start()


def _exit_now() -> None:
    _log.warning("exited without waiting for threads")
    os._exit(0)  # as after a kill, the store has all of their work or none


@contextmanager
def _signal_handler(handler: Callable[[int, object], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


@contextmanager
def _translated(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        detail = f"{host}:{port}: {error.strerror or error}"
        raise ResourceError(Code.ADDRESS_UNAVAILABLE, detail) from error
