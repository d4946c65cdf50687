"""Where these measurements meet what they measure of ours: fetching as a worker does it, and a command."""

import asyncio
import json
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from pathlib import Path

from aiohttp.abc import AbstractResolver

from benchmarks.fetching.web import host_name, silent_name
from benchmarks.measure import smartsight
from benchmarks.web_server import HOSTS, SILENT_HOSTS, address, silent_address
from shared.broker import Delivery, InProcessBroker
from shared.fetching import guard
from shared.fetching.fetcher import Fetched
from shared.fetching.web import WebFetcher, WebLimits
from shared.images import Limits
from shared.items import Message
from shared.settings import Settings
from shared.store.database import Database
from shared.store.store import Store
from worker.denied import DenyList
from worker.fetching import PoliteFetcher
from worker.frontier.frontier import Frontier
from worker.frontier.line import Errand
from worker.frontier.politeness import PolitenessPolicy
from worker.frontier.turns import FrontierPlan
from worker.robots_book import RobotsBook
from worker.store_retry import StoreRetry

#: How long one image may take in the job with hosts in trouble, in seconds.
_TIMEOUT = 5
#: Seconds that a host in trouble may take of its own: five failures, two at a time; `label` sets it aside for
#: 1, 5 and 15 seconds then, each time with a trial, and gives it up.
OWN_DEADLINE = 3 * _TIMEOUT + 21 + 3 * _TIMEOUT
_ROOT = Path(__file__).parents[2]
#: Everything is on, and nothing has to wait: what is measured is what the rules cost, not what they forbid.
_POLICY = PolitenessPolicy(connections=8, delay=0.0001, backoff_schedule=(1.0, 5.0, 15.0))
_CAPACITY = 64
#: Images that a process fetches at the same time.
CONCURRENCY = 32

#: What is done with an image.
Use = Callable[[bytes], Awaitable[None]]


def environment(port: int, folder: Path) -> dict[str, str]:
    """Return what the command of the job with hosts in trouble has in its environment.

    A file in the folder tells it where the names lead, and that it may go there: all else is as with
    strangers' hosts.
    """
    hosts = {host_name(number): [address(number)] for number in range(HOSTS)}
    hosts |= {silent_name(number): [silent_address(number)] for number in range(SILENT_HOSTS)}
    web = folder / "web.json"
    web.write_text(json.dumps({"hosts": hosts, "open": [[found[0], port] for found in hosts.values()]}))
    return {
        "SMARTSIGHT_FETCH_TIMEOUT": str(_TIMEOUT),
        "SMARTSIGHT_PORTS": str(port),
        "SMARTSIGHT_TEST_WEB": str(web),
        "PYTHONPATH": f"{_ROOT / 'tests' / 'web_inject'}:{_ROOT}",
    }


class _OpenGuard(guard.Guard):
    """Lets through what it would, and this machine."""

    def allows(self, address: str, port: int) -> bool:
        """See ``Guard``."""
        super().allows(address, port)
        return True


class Fetching:
    """Fetches as a worker does: each URL waits for its turn at its host, and passes gates and rules."""

    def __init__(self, names: AbstractResolver, port: int, store: Store, threads: ThreadPoolExecutor) -> None:
        settings = Settings()
        guard.system_resolver = lambda: names
        limits = WebLimits(settings.max_bytes, settings.fetch_timeout, frozenset(Limits().formats))
        self.web = WebFetcher(_OpenGuard((port,)), limits, "SmartSightBot/1")
        store_retry = StoreRetry(threads, threading.Event(), wait_for_store=False)
        plan = FrontierPlan(_CAPACITY, _POLICY, settings.fetch_timeout)
        self.frontier = Frontier(store, InProcessBroker(), store_retry, self.web.throttled_host, plan)
        self._fetcher = PoliteFetcher(
            self.web, RobotsBook(self.web, store, store_retry), DenyList(store, store_retry)
        )

    async def fetch_all(self, urls: Sequence[str], use: Use | None = None) -> int:
        """Fetch all of these, and return how many bytes they were; each may be used for something."""
        sizes: list[int] = []
        async with asyncio.TaskGroup() as group:
            handlers = [group.create_task(self._handle_all(sizes, use)) for _ in range(CONCURRENCY)]
            await self._feed(urls)
            while len(sizes) < len(urls):
                await asyncio.sleep(0.001)
            for handler in handlers:
                handler.cancel()
        return sum(sizes)

    async def _feed(self, urls: Sequence[str]) -> None:
        for number, url in enumerate(urls):
            await self.frontier.room()
            self.frontier.put(Errand(Delivery(Message(1, number, url), number), url))

    async def _handle_all(self, sizes: list[int], use: Use | None) -> None:
        while True:
            turn = await self.frontier.next()
            fetched = await self._fetcher.fetch(turn, None)
            turn.close()
            assert isinstance(fetched, Fetched)
            content = fetched.read()
            if use:
                await use(content)
            sizes.append(len(content))


@asynccontextmanager
async def fetching(names: AbstractResolver, port: int) -> AsyncIterator[Fetching]:
    """Give what fetches as a worker does, save that it asks ``names`` for addresses."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Database(f"sqlite:///{folder}/hosts.db")) as database,
        ThreadPoolExecutor(2) as threads,
    ):
        ours = Fetching(names, port, Store(database), threads)
        talking = asyncio.create_task(ours.frontier.run())
        yield ours
        ours.frontier.stop()
        await talking
        await ours.frontier.close()
        await ours.web.close()


def label_command(source: Path, database: str, output: Path) -> list[str]:
    """Return the command that labels a list."""
    return smartsight("label", str(source), "--db", database, "--output", str(output))
