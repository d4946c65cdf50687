"""A resolver that answers what a test says."""

import socket
from collections import Counter

from aiohttp.abc import AbstractResolver, ResolveResult

from tests.servers.web_hosts import Names


class FakeResolver(AbstractResolver):
    """Knows these names; one with two lists has the first as its first answer, the second as all others.

    ``calls`` counts how often each name was asked for.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self.calls: Counter[str] = Counter()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        name = host.lower().removesuffix(".")
        self.calls[name] += 1
        found = [_result(name, address, port) for address in self._addresses(name)]
        found = [result for result in found if family in (socket.AF_UNSPEC, result["family"])]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found

    async def close(self) -> None:
        pass

    def _addresses(self, name: str) -> list[str]:
        answers = self._names.get(name, [])
        flat = [answer for answer in answers if isinstance(answer, str)]
        lists = [answer for answer in answers if not isinstance(answer, str)]
        return lists[min(self.calls[name], len(lists)) - 1] if lists else flat


def _result(name: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return {
        "hostname": name,
        "host": address,
        "port": port,
        "family": family,
        "proto": socket.IPPROTO_TCP,
        "flags": socket.AI_NUMERICHOST,
    }
