"""A connection that comes back: one thread that does nothing else, so that heartbeats are never late."""

import logging
import random
import threading
from collections.abc import Callable
from typing import Any

import pika

from shared.rabbitmq.connection import FAILURES, declare, name_of, parameters_of, reason_of
from shared.rabbitmq.topology import Topology

_log = logging.getLogger("smartsight.rabbitmq")

#: Longest pauses before connecting again, the first and the last, in seconds.
_FIRST_PAUSE, _LAST_PAUSE = 0.5, 30.0
#: How long closing may take, in seconds.
_FAREWELL = 10.0


class ConnectionThread:
    """Keeps one connection with one channel open, until it is closed.

    ``opened`` gets each new channel, ``lost`` is told when it has gone; both are called in the thread of
    the connection, as is what ``soon`` is given. A lost channel counts as a lost connection.
    """

    def __init__(
        self, url: str, topology: Topology, opened: Callable[[Any], None], lost: Callable[[], None]
    ) -> None:
        self._name = name_of(url)
        self._parameters = parameters_of(url)
        self._topology = topology
        self._opened = opened
        self._lost = lost
        self._connection: Any = None
        self._channel: Any = None
        self._reason = ""
        self._ready = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rabbitmq", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self._thread.start()

    @property
    def is_open(self) -> bool:
        """Whether there is a channel now."""
        return self._channel is not None

    def wait_open(self, seconds: float) -> bool:
        """Wait until there is a channel; tell whether there is one."""
        return self._ready.wait(seconds)

    def soon(self, function: Callable[[], None]) -> None:
        """Call a function in the thread of the connection; never, if the connection is lost before."""
        connection = self._connection
        if connection is not None:
            connection.ioloop.add_callback_threadsafe(function)

    def drop(self, reason: str) -> None:
        """Give the connection up and make a new one. To be called in the connection's thread."""
        self._reason = self._reason or reason
        if not (self._connection.is_closing or self._connection.is_closed):
            self._connection.close()

    def close(self) -> None:
        """End the connection for good."""
        self._closing.set()
        self.soon(lambda: self.drop("closed"))
        if self._thread.is_alive():
            self._thread.join(_FAREWELL)

    def _run(self) -> None:
        pause, told = _FIRST_PAUSE, False
        while not self._closing.is_set():
            self._reason = ""
            was_open = self._serve()
            if self._closing.is_set():
                break
            if was_open or not told:
                _log.warning("%s is away: %s; trying again", self._name, self._reason)
            pause = _FIRST_PAUSE if was_open else min(2 * pause, _LAST_PAUSE)
            told = True
            self._closing.wait(random.uniform(0, pause))

    def _serve(self) -> bool:
        """Connect and stay connected until the connection is lost; tell whether there was one."""
        was_open = False
        try:
            # Queues that an operator deleted, or a broker lost, come back.
            declare(self._parameters, self._topology)
            self._converse()
        except FAILURES as error:
            self._reason = self._reason or reason_of(error)
        except Exception as error:  # a defect must not end the thread, on which everybody waits
            _log.exception("unexpected failure on the connection to %s", self._name)
            self._reason = type(error).__name__
        finally:
            was_open = self._channel is not None
            self._forget()
        return was_open

    def _converse(self) -> None:
        self._connection = pika.SelectConnection(
            self._parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_end,
            on_close_callback=self._on_end,
        )
        if self._closing.is_set():
            self.soon(lambda: self.drop("closed"))
        try:
            self._connection.ioloop.start()
        finally:
            self._connection.ioloop.close()

    def _forget(self) -> None:
        self._connection = self._channel = None
        self._ready.clear()
        self._lost()

    def _on_open(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Any) -> None:
        channel.add_on_close_callback(lambda _, error: self.drop(reason_of(error)))
        channel.add_on_cancel_callback(lambda _: self.drop("the queue is gone"))
        self._channel = channel
        _log.info("connected to %s", self._name)
        self._opened(channel)
        self._ready.set()

    def _on_end(self, connection: Any, error: BaseException) -> None:
        self._reason = self._reason or reason_of(error)
        connection.ioloop.stop()
