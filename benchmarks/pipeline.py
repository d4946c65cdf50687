"""CPU time per image of a worker with RabbitMQ and Postgres, against a bare loop; gain of a second core."""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.measure import median, pictures, print_table
from benchmarks.servers import Servers, family_cpu, picture_server, servers, wait_for_done
from shared.classifier.catalogue import Catalogue
from shared.classifier.model import LITERT_NETWORK
from shared.settings import read_settings
from shared.store.results import Outcome

_ROUNDS = 3
_ITEMS = 3000
#: Results before the measurement begins, so that every process has loaded its model.
_WARM_UP = 500
_SIDE, _CROP = "224", "0.875"


@dataclass(frozen=True)
class Run:
    """Cost per image: CPU seconds of worker and servers; and images per second."""

    worker: float
    servers: dict[str, float]
    rate: float
    #: Fraction of the time in which a process decoded or predicted.
    busy: float


def main() -> None:
    """Measure and print."""
    settings = read_settings(os.environ)
    network = Catalogue(settings.cache_dir, settings.data_dir).model("lite0").verified(LITERT_NETWORK)
    paths = pictures()
    one, two, bare = [], [], []
    with picture_server(paths) as base, servers(SMARTSIGHT_OWN_HOSTS=urlsplit(base).netloc) as running:
        for number in range(_ROUNDS):
            start = number * 2 * _ITEMS
            one.append(_label(running, base, start, processes=1))
            two.append(_label(running, base, start + _ITEMS, processes=2))
            bare.append(_bare(str(network), paths))
    _print(one, two, bare)


def _label(running: Servers, base: str, start: int, processes: int) -> Run:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as source:
        source.writelines(f"{base}/{number}\n" for number in range(start, start + _ITEMS))
        source.flush()
        job = int(running.command("submit", source.name))
    worker = running.start("worker", "--processes", str(processes))
    try:
        done = wait_for_done(running.store, job, _WARM_UP)
        began, cpu, of_servers = time.time(), family_cpu(worker.pid), running.cpu()
        wait_for_done(running.store, job, _ITEMS)
        count, wall = _ITEMS - done, time.time() - began
        spent = {name: (seconds - of_servers[name]) / count for name, seconds in running.cpu().items()}
        outcomes = running.store.results.outcomes(job, -1, _ITEMS)
        _check_succeeded(outcomes)
        milliseconds = sum(
            outcome.result.evidence.label_ms or 0
            for outcome in outcomes
            if outcome.result.finished_at.timestamp() >= began
        )
        cost = (family_cpu(worker.pid) - cpu) / count
        return Run(cost, spent, count / wall, milliseconds / 1000 / wall / processes)
    finally:
        worker.terminate()
        worker.wait()


def _check_succeeded(outcomes: list[Outcome]) -> None:
    # A worker that refuses every URL is fast.
    failed = Counter(outcome.result.code for outcome in outcomes if outcome.result.code)
    if failed:
        raise SystemExit(f"not measured: {failed.total()} images failed, {dict(failed)}")


def _bare(network: str, paths: list[Path]) -> float:
    """Return the CPU seconds per image of the bare loop in two parallel processes."""
    commands = [
        [sys.executable, "-m", "benchmarks.bare", network, _SIDE, _CROP, *map(str, paths[start::2])]
        for start in (0, 1)
    ]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for command in commands
    ]
    return sum(float(process.communicate()[0]) for process in running) / len(paths)


def _print(one: list[Run], two: list[Run], bare: list[float]) -> None:
    base = median(bare)
    costs = {
        "bare loop, 2 processes at once": base,
        "worker of 1 process, all of it": median(run.worker for run in one),
        "worker of 2 processes, all of it": median(run.worker for run in two),
        "RabbitMQ": median(run.servers["RabbitMQ"] for run in two),
        "Postgres": median(run.servers["Postgres"] for run in two),
    }
    rows = [(name, f"{1000 * cost:.2f}", f"{cost / base:.3f}") for name, cost in costs.items()]
    print_table(("what", "CPU ms per image", "ratio"), rows)
    gains = [second.rate / first.rate for first, second in zip(one, two, strict=True)]
    print(f"\ntwo processes to one, round by round: {', '.join(f'{gain:.2f}' for gain in gains)}")
    for name, runs in (("one process", one), ("two processes", two)):
        rate, busy = median(run.rate for run in runs), median(run.busy for run in runs)
        print(f"{name}: {rate:.0f} images/s, {busy:.0%} of the time decoding and predicting")


if __name__ == "__main__":
    main()
