"""Ports on this machine that a server can be given, and can get back after it was killed."""

import random
import socket

# Below the range that the kernel takes the ports of outgoing connections from: while a server is down,
# no client may be handed its port by chance.
_RANGE = range(20_000, 32_000)
_given: set[int] = set()


def free_port() -> int:
    """Return a port that nothing listens on, never the same one twice."""
    for port in random.sample(_RANGE, 200):
        if port not in _given and is_free(port):
            _given.add(port)
            return port
    raise RuntimeError("no free port found")


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def speaks_amqp(host: str, port: int) -> bool:
    """Tell whether a broker answers here."""
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return connection.recv(1) == b"\x01"  # the beginning of its first frame
    except OSError:
        return False
