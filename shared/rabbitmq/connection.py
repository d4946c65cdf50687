"""Where the broker is, how long to wait for it, and what to call its failures."""

import logging
import socket
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
