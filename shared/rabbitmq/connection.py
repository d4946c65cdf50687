"""Connections to RabbitMQ: URL, timeouts, errors, and a thread that keeps one connection open."""

import logging
import random
import socket
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pika
from pika.exceptions import AMQPError

from shared.errors import Code, ResourceError, UsageError
from shared.rabbitmq.topology import Topology
from shared.server_urls import ESCAPES, without_password

#: Defaults of the URL's parameters, in seconds.
_DEFAULTS: dict[str, Any] = {
    "heartbeat": 30,
    # pika waits for ever while an alarm blocks a connection.
    "blocked_connection_timeout": 60,
    "socket_timeout": 5,
    "stack_timeout": 10,
    "tcp_options": {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3},
}
_FORM = "amqp://USER:PASSWORD@HOST:PORT/VHOST"

#: What pika raises if the broker is unavailable or the URL is wrong.
FAILURES = (AMQPError, OSError, ValueError)

# pika's logs are disabled: we log once, and without passwords.
logging.getLogger("pika").setLevel(logging.CRITICAL + 1)


def parameters_of(url: str) -> Any:
    """Return pika's parameters of a URL, or raise ``UsageError(broker_unsupported)``."""
    if not url.lower().startswith(("amqp://", "amqps://")):
        raise UsageError(Code.BROKER_UNSUPPORTED, f"{without_password(url)!r}: use {_FORM}")
    try:
        parts = urlsplit(url)
        parameters = pika.URLParameters(url)
    except (ValueError, TypeError):  # their messages may contain the URL with its password
        raise UsageError(Code.BROKER_UNSUPPORTED, f"the URL is not well-formed: use {_FORM}") from None
    if "@" in parts.path + parts.query or parts.fragment or parts.port == 0:
        raise UsageError(Code.BROKER_UNSUPPORTED, f"the URL is not well-formed: {ESCAPES}")
    parameters.virtual_host = _virtual_host(parts.path)
    for name in _DEFAULTS.keys() - parse_qs(parts.query).keys():
        setattr(parameters, name, _DEFAULTS[name])
    return parameters


def _virtual_host(path: str) -> str:
    """Return the virtual host that a path names, ``/`` by default; pika takes a part of it for the whole.

    With a second slash as the whole name, as other clients have it, the default is meant
    (https://www.rabbitmq.com/docs/uri-spec writes it ``%2F``).
    """
    name = path.removeprefix("/")
    if "/" in name.rstrip("/") or name.count("/") > 1:
        raise UsageError(Code.BROKER_UNSUPPORTED, "the virtual host has a bare slash: write %2F for it")
    return unquote(name.rstrip("/")) or "/"


def name_of(parameters: Any) -> str:
    """Return a broker's name for messages: its URL without password and parameters."""
    scheme = "amqps" if parameters.ssl_options else "amqp"
    host = f"[{parameters.host}]" if ":" in parameters.host else parameters.host
    user = quote(parameters.credentials.username, safe="")
    return f"{scheme}://{user}:***@{host}:{parameters.port}/{quote(parameters.virtual_host, safe='')}"


def check(url: str, topology: Topology) -> None:
    """Connect once and declare the queues; raise ``ResourceError(broker_unavailable)`` if that fails."""
    parameters = parameters_of(url)
    try:
        declare(parameters, topology)
    except FAILURES as error:
        raise ResourceError(Code.BROKER_UNAVAILABLE, f"{name_of(parameters)}: {reason_of(error)}") from error


def declare(parameters: Any, topology: Topology) -> None:
    """Declare the missing queues."""
    with closing(pika.BlockingConnection(parameters)) as connection:
        topology.declare(connection)


def reason_of(error: BaseException) -> str:
    """Return the cause of a failed connection as text; pika wraps it, and some errors are empty."""
    wrapped = [*getattr(error, "exceptions", ()), getattr(error, "exception", None), *error.args]
    inner = next((cause for cause in reversed(wrapped) if isinstance(cause, BaseException)), None)
    if inner is not None:
        return reason_of(inner)
    if isinstance(error, socket.gaierror):
        return "its host name is unknown"
    text = getattr(error, "reply_text", None) or getattr(error, "strerror", None) or str(error)
    words = " ".join(str(text).split())
    return words if words and not words.startswith("(") else f"{type(error).__name__} {words}".strip()


_log = logging.getLogger("smartsight.rabbitmq")

#: First and longest pause before reconnecting, in seconds.
_FIRST_PAUSE, _LAST_PAUSE = 0.5, 30.0
#: Time limit of closing, in seconds.
_FAREWELL = 10.0


class ConnectionThread:
    """Keeps one connection with one channel open, until it is closed.

    ``opened`` gets each new channel, and ``lost`` is called when it is lost; both run in the connection's
    thread, like functions given to ``soon``. A lost channel counts as a lost connection.
    """

    def __init__(
        self, url: str, topology: Topology, opened: Callable[[Any], None], lost: Callable[[], None]
    ) -> None:
        self._parameters = parameters_of(url)
        self._name = name_of(self._parameters)
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
        """Start connecting."""
        self._thread.start()

    @property
    def is_open(self) -> bool:
        """Whether the channel is open."""
        return self._channel is not None

    def wait_open(self, seconds: float) -> bool:
        """Wait until the channel is open; tell whether it is."""
        return self._ready.wait(seconds)

    def soon(self, function: Callable[[], None]) -> None:
        """Call a function in the connection's thread, unless the connection is lost before."""
        connection = self._connection
        if connection is not None:
            connection.ioloop.add_callback_threadsafe(function)

    def drop(self, reason: str) -> None:
        """Drop the connection and make a new one; call it in the connection's thread."""
        self._reason = self._reason or reason
        if not (self._connection.is_closing or self._connection.is_closed):
            self._connection.close()

    def close(self) -> None:
        """Close the connection permanently."""
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
                _log.warning("broker unavailable", extra={"broker": self._name, "reason": self._reason})
            pause = _FIRST_PAUSE if was_open else min(2 * pause, _LAST_PAUSE)
            told = True
            self._closing.wait(random.uniform(0, pause))

    def _serve(self) -> bool:
        """Connect and serve until the connection is lost; tell whether there was one."""
        was_open = False
        try:
            # Declares queues that an operator deleted or a broker lost.
            declare(self._parameters, self._topology)
            self._converse()
        except FAILURES as error:
            self._reason = self._reason or reason_of(error)
        except Exception as error:  # a bug must not end the thread that everything depends on
            _log.exception("unexpected failure", extra={"broker": self._name})
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
        _log.info("broker connected", extra={"broker": self._name})
        self._opened(channel)
        self._ready.set()

    def _on_end(self, connection: Any, error: BaseException) -> None:
        self._reason = self._reason or reason_of(error)
        connection.ioloop.stop()
