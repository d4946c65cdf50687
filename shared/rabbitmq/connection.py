"""Connections to RabbitMQ: URL, timeouts, errors, and a thread that keeps one connection open."""

import logging
import random
import socket
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pika
from pika.exceptions import AMQPError

from shared.errors import Code, ResourceError, UsageError
from shared.rabbitmq.topology import Topology

#: Unless the URL's own parameters say otherwise; in seconds.
_DEFAULTS: dict[str, Any] = {
    "heartbeat": 30,
    # pika waits for ever while an alarm blocks a connection.
    "blocked_connection_timeout": 60,
    "socket_timeout": 5,
    "stack_timeout": 10,
    "tcp_options": {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3},
}
_FORM = "amqp://USER:PASSWORD@HOST:PORT/VHOST"

#: What a broker that is away, or a URL that leads nowhere, makes pika raise.
FAILURES = (AMQPError, OSError, ValueError)

# What it has to say is said here, once, and without passwords.
logging.getLogger("pika").setLevel(logging.CRITICAL + 1)


def parameters_of(url: str) -> Any:
    """Return pika's parameters of a URL, or raise ``UsageError(broker_unsupported)``."""
    parts = urlsplit(url)
    if parts.scheme not in ("amqp", "amqps"):
        raise UsageError(Code.BROKER_UNSUPPORTED, f"{parts.scheme or 'no scheme'}: say {_FORM}")
    try:
        parameters = pika.URLParameters(url)
    except (ValueError, TypeError):  # their texts can repeat the URL, password and all
        raise UsageError(Code.BROKER_UNSUPPORTED, f"the URL is not well-formed: say {_FORM}") from None
    for name in _DEFAULTS.keys() - parse_qs(parts.query).keys():
        setattr(parameters, name, _DEFAULTS[name])
    return parameters


def name_of(url: str) -> str:
    """Return what messages call a broker: its URL without password and parameters."""
    parts = urlsplit(url)
    user = f"{parts.username}:***@" if parts.username else ""
    return f"{parts.scheme}://{user}{parts.hostname}:{parts.port or 5672}{parts.path}"


def check(url: str, topology: Topology) -> None:
    """Connect once and make the queues; raise ``ResourceError(broker_unavailable)`` if that cannot be."""
    parameters = parameters_of(url)
    try:
        declare(parameters, topology)
    except FAILURES as error:
        raise ResourceError(Code.BROKER_UNAVAILABLE, f"{name_of(url)}: {reason_of(error)}") from error


def declare(parameters: Any, topology: Topology) -> None:
    """Make the queues that are missing."""
    with closing(pika.BlockingConnection(parameters)) as connection:
        topology.declare(connection)


def reason_of(error: BaseException) -> str:
    """Return the cause of a failed connection in words: pika wraps it, and some of its errors say nothing."""
    wrapped = [*getattr(error, "exceptions", ()), getattr(error, "exception", None), *error.args]
    inner = next((cause for cause in reversed(wrapped) if isinstance(cause, BaseException)), None)
    if inner is not None:
        return reason_of(inner)
    if isinstance(error, socket.gaierror):
        return "its host name is not known"
    text = getattr(error, "reply_text", None) or getattr(error, "strerror", None) or str(error)
    words = " ".join(str(text).split())
    return words if words and not words.startswith("(") else f"{type(error).__name__} {words}".strip()


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
