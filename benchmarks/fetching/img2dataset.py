"""Fetching, decoding and resizing compared with img2dataset, the usual program for it today."""

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
#: Its README advises as many as bandwidth and processors allow; more than 16 were slower on two cores.
_THREADS = 8
#: As close to our work as possible: no hash, no EXIF, no output.
_FLAGS = {
    "thread_count": _THREADS,
    "image_size": 224,
    "resize_mode": "center_crop",
    "output_format": "dummy",
    "extract_exif": False,
    "compute_hash": None,
}
#: No check for newer versions, and no proxy for the pictures.
_ENVIRONMENT = {"NO_ALBUMENTATIONS_UPDATE": "1", "no_proxy": "*"}
_OURS = ("ours, decoded", "ours, decoded and encoded")


@dataclass(frozen=True)
class Run:
    """Images per second and CPU seconds per image, both without the program's start."""

    rate: float
    cpu: float


def measure(web: Web, folder: Path) -> None:
    """Measure and print; leave img2dataset out if it cannot be installed."""
    program = _installed(folder)
    flags = " ".join(_flag(name, value) for name, value in _FLAGS.items())
    print(f"\n{_COUNT} images, {_ROUNDS} alternating rounds of each; img2dataset {_VERSION} with {flags}\n")
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
    """Return the program, installing it if needed; None, with an explanation, if that fails."""
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
    print(f"img2dataset is left out, because it cannot be installed here: {reason}")
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
    """Return the CPU seconds of a run with almost no images."""
    return _cost(program, web.by_address(range(processes)), processes)[0]


def _img2dataset(program: Path, web: Web, processes: int, start: float) -> Run:
    whole, rate = _cost(program, web.by_address(range(_COUNT)), processes)
    return Run(rate, (whole - start) / (_COUNT - processes))


def _cost(program: Path, urls: list[str], processes: int) -> tuple[float, float]:
    """Return the CPU seconds of a run, and the images per second that it reports."""
    with tempfile.TemporaryDirectory() as scratch:
        source, output = Path(scratch, "list.txt"), Path(scratch, "out")
        source.write_text("".join(f"{url}\n" for url in urls))
        # One process works on whole shards.
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
        ("what", "processes", "images/s", "best round", "to img2dataset", "CPU ms per image", "best round"),
        rows,
    )
