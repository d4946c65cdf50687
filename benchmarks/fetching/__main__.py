"""Run all measurements of fetching, or those that are named."""

from argparse import ArgumentParser
from pathlib import Path

import platformdirs

from benchmarks.fetching import cpu, img2dataset, stragglers
from benchmarks.fetching.web import serving

_ALL = ("cpu", "stragglers", "img2dataset")


def main() -> None:
    """Measure and print."""
    parser = ArgumentParser("python -m benchmarks.fetching", description=__doc__)
    parser.add_argument("measurement", nargs="*", metavar="{cpu,stragglers,img2dataset}")
    parser.add_argument(
        "--img2dataset",
        type=Path,
        metavar="FOLDER",
        default=platformdirs.user_cache_path("smartsight", appauthor=False) / "img2dataset",
        help="folder of the img2dataset installation, created if missing: %(default)s",
    )
    options = parser.parse_args()
    named = options.measurement or _ALL
    if unknown := set(named) - set(_ALL):
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    with serving() as web:
        if "cpu" in named:
            cpu.measure(web)
        if "stragglers" in named:
            stragglers.measure(web)
        if "img2dataset" in named:
            img2dataset.measure(web, options.img2dataset)


if __name__ == "__main__":
    main()
