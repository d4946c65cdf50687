"""A private web for a measurement: fifty hosts, by name or address, served by one process."""

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
    """Return the name of a host that never answers."""
    return f"silent{number}.example"


@dataclass(frozen=True)
class Web:
    """The addresses of the hosts, and the process that serves them."""

    port: int
    pid: int = 0

    def by_name(self, numbers: Iterable[int]) -> list[str]:
        """Return the URLs of pictures, divided among the hosts, by name."""
        return [self.url(host_name(number % HOSTS), str(number)) for number in numbers]

    def by_address(self, numbers: Iterable[int]) -> list[str]:
        """Return the URLs of pictures, divided among the hosts, by address."""
        return [self.url(address(number % HOSTS), str(number)) for number in numbers]

    def silent(self, host: int, number: int) -> str:
        """Return the URL of a picture on a host that never answers."""
        return self.url(silent_name(host), str(number))

    def url(self, host: str, path: str) -> str:
        """Return a URL of a host."""
        return f"http://{host}:{self.port}/{path}"


class Names(AbstractResolver):
    """Resolves the hosts' names without a name server."""

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
        """Do nothing: there is nothing to close."""


@contextmanager
def serving() -> Iterator[Web]:
    """Serve the labelled pictures from a separate process until the block ends."""
    command = [sys.executable, "-m", "benchmarks.web_server", *map(str, pictures())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield Web(int(process.stdout.readline()), process.pid)
        finally:
            process.kill()
