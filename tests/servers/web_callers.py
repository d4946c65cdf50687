"""Callers of the tests' web that guard nothing: what it really says."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp

from tests.servers.names import FakeResolver
from tests.servers.web import Web

_Found = TypeVar("_Found")


def in_session(web: Web, use: Callable[[aiohttp.ClientSession], Awaitable[_Found]]) -> _Found:
    async def run() -> _Found:
        connector = aiohttp.TCPConnector(resolver=FakeResolver(web.names), limit=0)
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, auto_decompress=False
        ) as session:
            return await use(session)

    return asyncio.run(run())


def get(web: Web, url: str, **headers: str) -> tuple[int, Any, bytes]:
    async def ask(session: aiohttp.ClientSession) -> tuple[int, Any, bytes]:
        async with session.get(url, headers=headers, allow_redirects=False) as answer:
            return answer.status, answer.headers, await answer.read()

    return in_session(web, ask)


def get_raw(
    web: Web, host: str, path: str, wanted: int = 10_000_000, seconds: float = 5.0
) -> tuple[bytes, str]:
    """Return what comes within so many bytes and seconds, and what ended it."""
    content = b""
    deadline = time.monotonic() + seconds
    with socket.create_connection((web.address_of(host), web.port), timeout=0.1) as caller:
        caller.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{web.port}\r\n\r\n".encode())
        while len(content) < wanted and time.monotonic() < deadline:
            try:
                more = caller.recv(65_536)
            except TimeoutError:
                continue
            except ConnectionResetError:
                return content, "reset"
            if not more:
                return content, "closed"
            content += more
    return content, "enough" if len(content) >= wanted else "late"
