"""Time and memory of a job when a tenth of its hosts are in trouble."""

import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fetching.ours import OWN_DEADLINE, environment, label_command
from benchmarks.fetching.web import Web, host_name
from benchmarks.measure import Cost, cost_of, median, print_table
from benchmarks.web_server import HOSTS
from shared.store.database import Database
from shared.store.results import Outcome
from shared.store.store import Store

_ROUNDS = 1
_ITEMS = 2000
#: The last hosts, each with a different problem.
_TROUBLED = ("slow", "drip", "hang", "silent", "silent")
_AIM = 1.2


@dataclass(frozen=True)
class Run:
    """The cost of a job, when its healthy hosts were done, and how the other pictures ended."""

    cost: Cost
    well_done: float
    ends: Counter[str]


def measure(web: Web) -> None:
    """Measure and print."""
    well = range(HOSTS - len(_TROUBLED))
    urls = {number: _url(web, number) for number in range(_ITEMS)}
    without = {number: url for number, url in urls.items() if number % HOSTS in well}
    print(f"\n{len(without)} images of {len(well)} hosts, and {_ITEMS - len(without)} more of", end=" ")
    print(
        f"{len(_TROUBLED)} hosts in trouble ({', '.join(_TROUBLED)}), {_ROUNDS} alternating rounds of each\n"
    )
    calm, troubled = [], []
    with tempfile.TemporaryDirectory() as folder:
        settings = environment(web.port, Path(folder))
        for _ in range(_ROUNDS):
            calm.append(_label(list(without.values()), set(without.values()), settings))
            troubled.append(_label(list(urls.values()), set(without.values()), settings))
    _print(calm, troubled)


def _url(web: Web, number: int) -> str:
    host = number % HOSTS
    place = host - HOSTS + len(_TROUBLED)
    if place < 0:
        return web.url(host_name(host), str(number))
    trouble = _TROUBLED[place]
    if trouble == "silent":
        return web.silent(place - _TROUBLED.index("silent"), number)
    return web.url(host_name(host), f"{trouble}/{number}")


def _label(urls: list[str], well: set[str], settings: dict[str, str]) -> Run:
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch, "list.txt")
        source.write_text("".join(f"{url}\n" for url in urls))
        database = f"sqlite:///{scratch}/labels.db"
        started = time.time()
        cost = cost_of(label_command(source, database, Path(scratch, "out.jsonl")), **settings)
        outcomes = _outcomes(database, len(urls))
    last = max(one.result.finished_at.timestamp() for one in outcomes if one.item.ref in well)
    ends = Counter(_end(one) for one in outcomes if one.item.ref not in well)
    assert len(outcomes) == len(urls)
    assert all(one.result.code is None for one in outcomes if one.item.ref in well)
    return Run(cost, last - started, ends)


def _outcomes(database: str, count: int) -> list[Outcome]:
    opened = Database(database)
    try:
        return list(Store(opened).results.outcomes(1, -1, count))
    finally:
        opened.close()


def _end(outcome: Outcome) -> str:
    return outcome.result.code.value if outcome.result.code else outcome.result.state.value


def _print(calm: list[Run], troubled: list[Run]) -> None:
    limit = _AIM * _median(calm, _wall) + OWN_DEADLINE
    rows = [("hosts without trouble", calm, ""), ("all hosts", troubled, f"{limit:.1f}")]
    print_table(
        ("job", "seconds", "aim", "seconds until the healthy hosts are done", "peak resident MB"),
        [
            (
                name,
                f"{_median(runs, _wall):.1f}",
                aim,
                f"{_median(runs, _well):.1f}",
                f"{_median(runs, _memory):.0f}",
            )
            for name, runs, aim in rows
        ],
    )
    print(
        f"\nthe aim: {_AIM} times, and the {OWN_DEADLINE} seconds that a host in trouble may take of its own"
    )
    print(f"all to healthy hosts only, round by round: {_ratios(troubled, calm, _wall)}")
    print(f"until the healthy hosts are done: {_ratios(troubled, calm, _well)}")
    print(f"results of the hosts in trouble: {dict(troubled[-1].ends)}")


def _median(runs: list[Run], figure: Callable[[Run], float]) -> float:
    return median(figure(one) for one in runs)


def _ratios(runs: list[Run], bases: list[Run], figure: Callable[[Run], float]) -> str:
    return ", ".join(f"{figure(one) / figure(base):.2f}" for one, base in zip(runs, bases, strict=True))


def _wall(one: Run) -> float:
    return one.cost.wall


def _well(one: Run) -> float:
    return one.well_done


def _memory(one: Run) -> float:
    return one.cost.memory
