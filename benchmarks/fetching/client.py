"""Fetch pictures in parallel processes and measure them.

Run as a program, it warms up, says that it is ready, waits for a line, fetches its share, and says what
that took.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from io import BytesIO

import aiohttp
from PIL import Image

from benchmarks.fetching.ours import CONCURRENCY, fetching
from benchmarks.fetching.web import Names, Web
from shared.images import Limits, decode

#: Enough to open the connections and to run all code once.
_WARM_UP = 200
_SIDE, _CROP = 224, 0.875
#: The default of img2dataset.
_QUALITY = 95

#: Fetches all URLs and returns their total size in bytes.
FetchAll = Callable[[Sequence[str]], Awaitable[int]]


@dataclass(frozen=True)
class Run:
    """Images per second, CPU seconds per image, and the bytes of all images."""

    rate: float
    cpu: float
    size: int


@asynccontextmanager
async def _bare(_port: int) -> AsyncIterator[FetchAll]:
    connector = aiohttp.TCPConnector(limit=0, resolver=Names())
    async with aiohttp.ClientSession(connector=connector) as session:

        async def fetch_some(waiting: Iterator[str]) -> int:
            size = 0
            for url in waiting:
                async with session.get(url) as answer:
                    size += len(await answer.read())
            return size

        async def fetch_all(urls: Sequence[str]) -> int:
            waiting = iter(urls)
            return sum(await asyncio.gather(*(fetch_some(waiting) for _ in range(CONCURRENCY))))

        yield fetch_all


@asynccontextmanager
async def _ours(port: int) -> AsyncIterator[FetchAll]:
    async with fetching(Names(), port) as ours:
        yield ours.fetch_all


@asynccontextmanager
async def _working(port: int, work: Callable[[bytes], object]) -> AsyncIterator[FetchAll]:
    """Fetch as a worker does and process each image in one thread, for one core."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as core:
        async with fetching(Names(), port) as ours:

            async def use(data: bytes) -> None:
                await loop.run_in_executor(core, work, data)

            yield lambda urls: ours.fetch_all(urls, use)


def _decode(data: bytes) -> Image.Image:
    return Image.fromarray(decode(data, _SIDE, _CROP, Limits()).pixels)


def _encode(data: bytes) -> None:
    _decode(data).save(BytesIO(), "JPEG", quality=_QUALITY)


_KINDS: dict[str, Callable[[int], AbstractAsyncContextManager[FetchAll]]] = {
    "bare": _bare,
    "ours": _ours,
    "ours, decoded": lambda port: _working(port, _decode),
    "ours, decoded and encoded": lambda port: _working(port, _encode),
}


def run(kind: str, web: Web, count: int, processes: int = 1) -> Run:
    """Divide the images among this many processes; return the total cost."""
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
    async with _KINDS[kind](web.port) as fetch_all:
        await fetch_all(urls[:_WARM_UP])
        print("ready", flush=True)
        sys.stdin.readline()
        started = time.process_time()
        size = await fetch_all(urls)
        print(json.dumps({"cpu": time.process_time() - started, "size": size}), flush=True)


if __name__ == "__main__":
    name, port, count, share, processes = sys.argv[1:]
    asyncio.run(_measure(name, Web(int(port)), range(int(share), int(count), int(processes))))
