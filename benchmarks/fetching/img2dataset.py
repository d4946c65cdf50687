"""Fetching, decoding and resizing beside img2dataset, the program that people use for it today."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fetching import client
from benchmarks.fetching.web import Web
from benchmarks.measure import cost_of, median, print_table

_ROUNDS = 3
_COUNT = 3000
_PROCESSES = (1, 2)
_VERSION = "1.47.0"
#: Its README says as many as bandwidth and processors bear; with more than 16 it was slower on two cores.
_THREADS = 8
#: As near to what ours does as it comes: nothing is hashed, read from EXIF, or written.
_FLAGS = {
    "thread_count": _THREADS,
    "image_size": 224,
    "resize_mode": "center_crop",
    "output_format": "dummy",
    "extract_exif": False,
    "compute_hash": None,
}
#: It asks no server for newer versions, and no proxy for the pictures.
_ENVIRONMENT = {"NO_ALBUMENTATIONS_UPDATE": "1", "no_proxy": "*"}
_OURS = ("ours, decoded", "ours, decoded and encoded")


@dataclass(frozen=True)
class Run:
    """Images per second and processor seconds an image, both without the start of the program."""

    rate: float
    cpu: float


def measure(web: Web, folder: Path) -> None:
    """Measure and print; what cannot be installed is left out."""
    program = _installed(folder)
    flags = " ".join(_flag(name, value) for name, value in _FLAGS.items())
    print(f"\n{_COUNT} images, {_ROUNDS} rounds of each in turn; img2dataset {_VERSION} with {flags}\n")
    starts = {processes: _start(program, web, processes) for processes in _PROCESSES} if program else {}
    runs: dict[tuple[str, int], list[Run]] = {}
    for _ in range(_ROUNDS):
        for processes in _PROCESSES:
            if program:
                theirs = _img2dataset(program, web, processes, starts[processes])
                runs.setdefault(("img2dataset", processes), []).append(theirs)
            for kind in _OURS:
                mine = client.run(kind, web, _COUNT, processes)
                runs.setdefault((kind, processes), []).append(Run(mine.rate, mine.cpu))
    _print(runs)


def _installed(folder: Path) -> Path | None:
    """Return the program, installed where it is not yet; or none, and say why."""
    try:
        if not _works(folder):
            print(f"Installing img2dataset into {folder}: once ...", flush=True)
            _run(sys.executable, "-m", "venv", str(folder))
            _run(str(folder / "bin" / "python"), "-m", "pip", "install", f"img2dataset=={_VERSION}")
        if _works(folder):
            return folder / "bin" / "img2dataset"
        reason = "it does not start with this Python"
    except OSError as error:
        reason = str(error)
    except subprocess.CalledProcessError as error:
        reason = (error.stderr or error.stdout).strip().rpartition("\n")[2]
    print(f"img2dataset is left out, for it cannot be installed here: {reason}")
    return None


def _works(folder: Path) -> bool:
    python = folder / "bin" / "python"
    return python.exists() and _has_it(python)


def _has_it(python: Path) -> bool:
    code = f"import img2dataset, importlib.metadata as m; assert m.version('img2dataset') == {_VERSION!r}"
    done = subprocess.run(
        [python, "-c", code], capture_output=True, env=os.environ | _ENVIRONMENT, check=False
    )
    return done.returncode == 0


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _start(program: Path, web: Web, processes: int) -> float:
    """Return the processor seconds of a run with nearly nothing to do."""
    return _cost(program, web.by_address(range(processes)), processes)[0]


def _img2dataset(program: Path, web: Web, processes: int, start: float) -> Run:
    whole, rate = _cost(program, web.by_address(range(_COUNT)), processes)
    return Run(rate, (whole - start) / (_COUNT - processes))


def _cost(program: Path, urls: list[str], processes: int) -> tuple[float, float]:
    """Return the processor seconds of a run, and its images per second as it says itself."""
    with tempfile.TemporaryDirectory() as scratch:
        source, output = Path(scratch, "list.txt"), Path(scratch, "out")
        source.write_text("".join(f"{url}\n" for url in urls))
        # A shard is what one process does, and one process does whole shards.
        flags = _FLAGS | {"processes_count": processes, "number_sample_per_shard": len(urls) // processes}
        command = [str(program), f"--url_list={source}", f"--output_folder={output}"]
        cost = cost_of([*command, *(_flag(name, value) for name, value in flags.items())], **_ENVIRONMENT)
        shards = [json.loads(path.read_text()) for path in output.glob("*_stats.json")]
    assert sum(shard["successes"] for shard in shards) == len(urls)
    began, ended = min(shard["start_time"] for shard in shards), max(shard["end_time"] for shard in shards)
    return cost.cpu, len(urls) / (ended - began)


def _flag(name: str, value: object) -> str:
    return f"--{name}={value}"


def _print(runs: dict[tuple[str, int], list[Run]]) -> None:
    rows = []
    for (kind, processes), measured in runs.items():
        theirs = runs.get(("img2dataset", processes), [])
        gains = [mine.rate / other.rate for mine, other in zip(measured, theirs, strict=bool(theirs))]
        ratio = f"{median(gains):.2f}" if gains else "not measured"
        rates, costs = [one.rate for one in measured], [1000 * one.cpu for one in measured]
        figures = (
            f"{median(rates):.0f}",
            f"{max(rates):.0f}",
            ratio,
            f"{median(costs):.2f}",
            f"{min(costs):.2f}",
        )
        rows.append((kind, processes, *figures))
    print_table(
        ("what", "processes", "images/s", "at best", "to img2dataset", "CPU ms an image", "at least"), rows
    )
