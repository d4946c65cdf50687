"""CPU time per image of `smartsight label`, against a bare loop of decode, resize and invoke.

Both are measured alternately, several times in one run: compare the ratios, not the absolute figures.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import Cost, cost_of, median, pictures, print_table, smartsight
from shared.classifier.catalogue import Catalogue
from shared.classifier.model import LITERT_NETWORK
from shared.settings import read_settings

_ROUNDS = 7
_SIDE, _CROP = "224", "0.875"
_CORES = len(os.sched_getaffinity(0))


def main() -> None:
    """Measure and print."""
    settings = read_settings(os.environ)
    network = Catalogue(settings.cache_dir, settings.data_dir).model("lite0").verified(LITERT_NETWORK)
    paths = [str(path) for path in pictures()]
    alone, busy, ours, plain, bare_whole = [], [], [], [], []
    for _ in range(_ROUNDS):
        alone.append(_bare(str(network), paths, processes=1))
        busy.append(_bare(str(network), paths, processes=_CORES))
        ours.append(_ours(Path(paths[0]).parent))
        plain.append(_ours(Path(paths[0]).parent, SMARTSIGHT_THUMBNAIL_SIDE="0"))
        bare_whole.append(cost_of(_bare_command(str(network), paths)).cpu)
    whole = median(cost.cpu for cost in ours)
    start = median(_start().cpu for _ in range(_ROUNDS))
    figures = {
        f"bare loop, {_CORES} processes at once": median(busy),
        "bare loop, one process": median(alone),
        "bare loop, one process, its start included": median(bare_whole),
        "`smartsight label`, whole process": whole,
        "`smartsight label`, less its start": whole - start,
        "the same without thumbnails": median(cost.cpu for cost in plain) - start,
    }
    base = median(busy)
    print_table(
        ("what", "CPU ms per image", "ratio"),
        [(name, f"{1000 * s / len(paths):.2f}", f"{s / base:.3f}") for name, s in figures.items()],
    )
    ratios = [cost.cpu / bare for cost, bare in zip(ours, busy, strict=True)]
    print(f"\nwhole process to bare, round by round: {', '.join(f'{ratio:.3f}' for ratio in ratios)}")
    more = [1000 * (cost.cpu - less.cpu) / len(paths) for cost, less in zip(ours, plain, strict=True)]
    print(f"CPU ms of a thumbnail, round by round: {', '.join(f'{ms:.2f}' for ms in more)}")
    rate = len(paths) / median(cost.wall for cost in ours)
    cores = median(cost.cpu / cost.wall for cost in ours)
    print(f"{rate:.0f} images/s, including start and end; {cores:.2f} of {_CORES} cores busy on average")


def _bare(network: str, paths: list[str], processes: int) -> float:
    """Return the CPU seconds of the bare loop, with the pictures divided among this many processes."""
    running = [
        subprocess.Popen(
            _bare_command(network, paths[start::processes]),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for start in range(processes)
    ]
    return sum(float(process.communicate()[0]) for process in running)


def _bare_command(network: str, paths: list[str]) -> list[str]:
    return [sys.executable, "-m", "benchmarks.bare", network, _SIDE, _CROP, *paths]


def _ours(folder: Path, **settings: str) -> Cost:
    with tempfile.TemporaryDirectory() as scratch:
        output = f"{scratch}/out.jsonl"
        database = f"sqlite:///{scratch}/labels.db"
        return cost_of(smartsight("label", str(folder), "--db", database, "--output", output), **settings)


def _start() -> Cost:
    """Return the cost of a run that labels nothing."""
    with tempfile.TemporaryDirectory() as scratch:
        return cost_of(smartsight("label", "missing.jpg", "--db", f"sqlite:///{scratch}/labels.db"))


if __name__ == "__main__":
    main()
