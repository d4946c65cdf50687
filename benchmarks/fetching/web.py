"""A web of its own for a measurement: fifty hosts, with names or addresses, served by one process."""

import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp.abc import AbstractResolver, ResolveResult

from benchmarks.measure import pictures
from benchmarks.web_server import HOSTS, address


def host_name(number: int) -> str:
    """Return the name of a host."""
    return f"host{number}.example"


def silent_name(number: int) -> str:
    """Return the name of a host that never answers anything."""
    return f"silent{number}.example"


@dataclass(frozen=True)
class Web:
    """Where the hosts listen, and the process that serves all of them."""

    port: int
    pid: int = 0

    def by_name(self, numbers: Iterable[int]) -> list[str]:
        """Return the URLs of pictures, dealt out to the hosts, which go by name."""
        return [self.url(host_name(number % HOSTS), str(number)) for number in numbers]

    def by_address(self, numbers: Iterable[int]) -> list[str]:
        """Return the URLs of pictures, dealt out to the hosts, which go by address."""
        return [self.url(address(number % HOSTS), str(number)) for number in numbers]

    def silent(self, host: int, number: int) -> str:
        """Return the URL of a picture at a host that never answers anything."""
        return self.url(silent_name(host), str(number))

    def url(self, host: str, path: str) -> str:
        """Return a URL of a host."""
        return f"http://{host}:{self.port}/{path}"


class Names(AbstractResolver):
    """Knows the names of the hosts, without a look at any server."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the one address of a host."""
        number = int(host.removeprefix("host").removesuffix(".example"))
        return [
            ResolveResult(
                hostname=host, host=address(number), port=port, family=socket.AF_INET, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        """Do nothing: nothing is open."""


@contextmanager
def serving() -> Iterator[Web]:
    """Serve the labelled pictures from a process of its own, until the block ends."""
    command = [sys.executable, "-m", "benchmarks.web_server", *map(str, pictures())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield Web(int(process.stdout.readline()), process.pid)
        finally:
            process.kill()
