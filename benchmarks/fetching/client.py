"""Fetch pictures in processes of their own, all at once, and see what they took.

Run as a program, it warms up, says that it is ready, waits for a line, fetches its share, and says what
that took.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from io import BytesIO

import aiohttp
from PIL import Image

from benchmarks.fetching.ours import fetching
from benchmarks.fetching.web import Names, Web
from shared.images import Limits, decode

#: Images that a process fetches at the same time.
CONCURRENCY = 32
#: Enough to open the connections and to have all code run.
_WARM_UP = 200
_SIDE, _CROP = 224, 0.875
#: That of img2dataset when nothing else is asked.
_QUALITY = 95

Fetch = Callable[[str], Awaitable[bytes]]


@dataclass(frozen=True)
class Run:
    """What fetching took: images per second, processor seconds an image, and the bytes of all images."""

    rate: float
    cpu: float
    size: int


@asynccontextmanager
async def _bare(_port: int) -> AsyncIterator[Fetch]:
    connector = aiohttp.TCPConnector(limit=0, resolver=Names())
    async with aiohttp.ClientSession(connector=connector) as session:

        async def fetch(url: str) -> bytes:
            async with session.get(url) as answer:
                return await answer.read()

        yield fetch


def _ours(port: int) -> AbstractAsyncContextManager[Fetch]:
    return fetching(Names(), port)


@asynccontextmanager
async def _working(port: int, work: Callable[[bytes], object]) -> AsyncIterator[Fetch]:
    """Fetch as we do, and have a thread work at each image: one thread, as one core is meant."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as core:
        async with _ours(port) as fetch_bytes:

            async def fetch(url: str) -> bytes:
                data = await fetch_bytes(url)
                await loop.run_in_executor(core, work, data)
                return data

            yield fetch


def _decode(data: bytes) -> Image.Image:
    return Image.fromarray(decode(data, _SIDE, _CROP, Limits()).pixels)


def _encode(data: bytes) -> None:
    _decode(data).save(BytesIO(), "JPEG", quality=_QUALITY)


_KINDS: dict[str, Callable[[int], AbstractAsyncContextManager[Fetch]]] = {
    "bare": _bare,
    "ours": _ours,
    "ours, decoded": lambda port: _working(port, _decode),
    "ours, decoded and encoded": lambda port: _working(port, _encode),
}


def run(kind: str, web: Web, count: int, processes: int = 1) -> Run:
    """Let so many processes fetch images, dealt out to them, and return what all of it took."""
    command = [sys.executable, "-m", "benchmarks.fetching.client", kind, str(web.port), str(count)]
    running = [
        subprocess.Popen(
            [*command, str(share), str(processes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for share in range(processes)
    ]
    for process in running:
        assert process.stdout
        process.stdout.readline()
    started = time.monotonic()
    for process in running:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [json.loads(process.communicate()[0]) for process in running]
    wall = time.monotonic() - started
    cpu = sum(answer["cpu"] for answer in answers)
    return Run(count / wall, cpu / count, sum(answer["size"] for answer in answers))


async def _measure(kind: str, web: Web, numbers: range) -> None:
    urls = web.by_name(numbers)
    async with _KINDS[kind](web.port) as fetch:
        await _fetch_all(urls[:_WARM_UP], fetch)
        print("ready", flush=True)
        sys.stdin.readline()
        started = time.process_time()
        size = await _fetch_all(urls, fetch)
        print(json.dumps({"cpu": time.process_time() - started, "size": size}), flush=True)


async def _fetch_all(urls: list[str], fetch: Fetch) -> int:
    """Fetch everything and return how many bytes it was."""
    waiting = iter(urls)
    return sum(await asyncio.gather(*(_fetch_some(waiting, fetch) for _ in range(CONCURRENCY))))


async def _fetch_some(waiting: Iterator[str], fetch: Fetch) -> int:
    size = 0
    for url in waiting:
        size += len(await fetch(url))
    return size


if __name__ == "__main__":
    name, port, count, share, processes = sys.argv[1:]
    asyncio.run(_measure(name, Web(int(port)), range(int(share), int(count), int(processes))))
