"""Speed and memory of `smartsight submit`: recording, and publishing with confirms."""

import os
import tempfile
from pathlib import Path

from benchmarks.measure import cost_of, print_table, smartsight
from benchmarks.servers import Servers, servers

_LENGTHS = (10_000, 100_000, 1_000_000)


def main() -> None:
    """Measure and print."""
    with servers() as running:
        head = ("references", "peak resident MB", "seconds", "CPU seconds", "references/s")
        print_table(head, (_row(running, length) for length in _LENGTHS))


def _row(running: Servers, length: int) -> tuple[str, str, str, str, str]:
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch, "list.txt")
        with source.open("w") as file:
            file.writelines(
                f"http://host{n % 997}.example/pictures/{length}/{n}.jpg\n" for n in range(length)
            )
        new = {name: running.environment[name] for name in running.environment.keys() - os.environ.keys()}
        # Everything is published: nothing waits in the database.
        cost = cost_of(smartsight("submit", str(source)), **new, SMARTSIGHT_QUEUE_LENGTH="2000000")
    rate = f"{length / cost.wall:,.0f}"
    return f"{length:,}", f"{cost.memory:.0f}", f"{cost.wall:.1f}", f"{cost.cpu:.1f}", rate


if __name__ == "__main__":
    main()
