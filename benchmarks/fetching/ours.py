"""The measured code: fetching as a worker does it, and the command line."""

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
from worker.fetch_task import DeliveryAcks, FetchTask
from worker.fetching import DenyListChecker, PoliteFetcher, RobotsCache
from worker.host_leases import HostLeases, StoreClock
from worker.host_queues import HostQueues, QueuePlan
from worker.observer import NoObserver
from worker.politeness import PolitenessPolicy
from worker.store_retry import StoreRetry

#: Time limit of one image in the job with hosts in trouble, in seconds.
_TIMEOUT = 5
#: Longest time for one host in trouble, in seconds: five failures, two at a time; then `label` backs off for
#: 1, 5 and 15 seconds, with a trial after each, and gives up.
OWN_DEADLINE = 3 * _TIMEOUT + 21 + 3 * _TIMEOUT
_ROOT = Path(__file__).parents[2]
#: All rules are on but cause no delay: this measures their cost, not their effect.
_POLICY = PolitenessPolicy(connections=8, delay=0.0001, backoff_schedule=(1.0, 5.0, 15.0))
_CAPACITY = 64
#: Images fetched at a time by one process.
CONCURRENCY = 32

#: Processes an image.
Use = Callable[[bytes], Awaitable[None]]


def environment(port: int, folder: Path) -> dict[str, str]:
    """Return the environment of the command with hosts in trouble.

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
    """The guard, which also allows loopback."""

    def allows(self, address: str, port: int) -> bool:
        """Allow loopback, and whatever the guard allows."""
        super().allows(address, port)
        return True


class Fetching:
    """Fetches as a worker does: each URL waits for a slot of its host and passes all checks and rules."""

    def __init__(self, names: AbstractResolver, port: int, store: Store, threads: ThreadPoolExecutor) -> None:
        settings = Settings()
        guard.system_resolver = lambda: names
        limits = WebLimits(settings.max_bytes, settings.fetch_timeout, frozenset(Limits().formats))
        self.web = WebFetcher(_OpenGuard((port,)), limits, "SmartSightBot/1")
        retry = StoreRetry(threads, threading.Event(), wait_for_store=False)
        plan, clock = QueuePlan(_CAPACITY, _POLICY, settings.fetch_timeout), StoreClock()
        self.queues = HostQueues(plan, self.web.throttled_host, clock.now)
        self.leases = HostLeases(store, retry, self.queues, DeliveryAcks(InProcessBroker()), clock)
        robots, deny_list = RobotsCache(self.web, store, retry), DenyListChecker(store, retry)
        self._fetcher = PoliteFetcher(self.web, robots, deny_list, NoObserver())

    async def fetch_all(self, urls: Sequence[str], use: Use | None = None) -> int:
        """Fetch these URLs, process each image if asked, and return their total size in bytes."""
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
            await self.queues.room()
            self.queues.put(FetchTask(Delivery(Message(1, number, url), number), url))

    async def _handle_all(self, sizes: list[int], use: Use | None) -> None:
        while True:
            task, slot = await self.queues.next()
            async with slot:
                fetched = await self._fetcher.fetch(task, slot, None)
            assert isinstance(fetched, Fetched)
            content = fetched.read()
            if use:
                await use(content)
            sizes.append(len(content))


@asynccontextmanager
async def fetching(names: AbstractResolver, port: int) -> AsyncIterator[Fetching]:
    """Give a fetcher like a worker's that resolves names with ``names``."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Database(f"sqlite:///{folder}/hosts.db")) as database,
        ThreadPoolExecutor(2) as threads,
    ):
        ours = Fetching(names, port, Store(database), threads)
        talking = asyncio.create_task(ours.leases.run())
        yield ours
        ours.leases.stop()
        await talking
        await ours.leases.close()
        await ours.web.close()


def label_command(source: Path, database: str, output: Path) -> list[str]:
    """Return the command that labels a list."""
    return smartsight("label", str(source), "--db", database, "--output", str(output))
