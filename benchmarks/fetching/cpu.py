"""CPU time per fetched image, against a bare aiohttp loop; and the limit of the test server itself."""

import socket
import threading
import time

from benchmarks.fetching.client import Run, run
from benchmarks.fetching.ours import CONCURRENCY
from benchmarks.fetching.web import Web
from benchmarks.measure import median, print_table
from benchmarks.web_server import HOSTS, address
from tests.servers.processes import cpu_seconds

#: Many short rounds, so that other load on the machine affects both alike.
_ROUNDS = 11
_COUNT = 5000
_AIM = 1.3
#: Number of connections that keep the server busy.
_CONNECTIONS = 4
#: Larger than any of the pictures.
_ROOM = 1 << 20


def measure(web: Web) -> None:
    """Measure and print."""
    print(
        f"\n{_COUNT} images of {HOSTS} hosts, {CONCURRENCY} at a time, {_ROUNDS} alternating rounds of each\n"
    )
    bare, ours = [], []
    served = cpu_seconds([web.pid])
    for _ in range(_ROUNDS):
        bare.append(run("bare", web, _COUNT))
        ours.append(run("ours", web, _COUNT))
    served = cpu_seconds([web.pid]) - served
    assert len({fetched.size for fetched in bare + ours}) == 1
    _print(bare, ours)
    limit = _server_limit(web)
    print(f"\nthe server: {1000 * served / 2 / _ROUNDS / _COUNT:.2f} CPU ms per image here", end="; ")
    print(f"{limit:,.0f} images/s at most, to a client that discards them")


def _print(bare: list[Run], ours: list[Run]) -> None:
    base, cost = median(fetched.cpu for fetched in bare), median(fetched.cpu for fetched in ours)
    ratios = [mine.cpu / other.cpu for mine, other in zip(ours, bare, strict=True)]
    print_table(
        ("what", "CPU ms per image", "images/s", "ratio", "aim"),
        [
            ("bare aiohttp loop", f"{1000 * base:.2f}", f"{_rate(bare):.0f}", "1.00", ""),
            ("our fetcher", f"{1000 * cost:.2f}", f"{_rate(ours):.0f}", f"**{median(ratios):.2f}**", _AIM),
        ],
    )
    low, high = (1000 * min(fetched.cpu for fetched in runs) for runs in (bare, ours))
    print(f"\nthe quietest round of each: {low:.2f} and {high:.2f} CPU ms, {high / low:.2f} times")
    print(f"ours to bare, round by round: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")


def _rate(runs: list[Run]) -> float:
    return median(fetched.rate for fetched in runs)


def _server_limit(web: Web) -> float:
    """Return the images per second that the server sends to bare sockets."""
    threads = [threading.Thread(target=_drain, args=(web, place)) for place in range(_CONNECTIONS)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return _COUNT / (time.monotonic() - started)


def _drain(web: Web, place: int) -> None:
    """Request each picture assigned to this connection and discard it."""
    room = memoryview(bytearray(_ROOM))
    with socket.create_connection((address(place), web.port)) as connection:
        for number in range(place, _COUNT, _CONNECTIONS):
            connection.sendall(b"GET /%d HTTP/1.1\r\nHost: host\r\n\r\n" % number)
            received = connection.recv_into(room)
            head, _, _ = bytes(room[:received]).partition(b"\r\n\r\n")
            whole = len(head) + 4 + int(head.rpartition(b": ")[2])
            while received < whole:
                received += connection.recv_into(room[received:])
