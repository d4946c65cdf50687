"""`smartsight classify` with a built model: time, memory, and the slowest imports."""

import subprocess
import sys

from benchmarks.measure import cost_of, median, pictures, print_table, smartsight

_ROUNDS = 7
_IMPORTS_SHOWN = 8


def main() -> None:
    """Measure and print."""
    picture = str(pictures()[0])
    command = smartsight("classify", picture)
    cost_of(command)  # builds the model, should it not be there
    costs = [cost_of(command) for _ in range(_ROUNDS)]
    print_table(
        ("`smartsight classify`, one picture", "median"),
        [
            ("seconds", f"{median(cost.wall for cost in costs):.2f}"),
            ("CPU seconds", f"{median(cost.cpu for cost in costs):.2f}"),
            ("peak resident MB", f"{median(cost.memory for cost in costs):.0f}"),
        ],
    )
    print()
    print_table(("import", "ms, including what it imports"), _slowest_imports(picture))


def _slowest_imports(picture: str) -> list[tuple[str, str]]:
    command = [sys.executable, "-X", "importtime", "-m", "smartsight", "classify", picture]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
    times = [line.split("|") for line in lines if line.startswith("import time:") and line.count("|") == 2]
    slowest = sorted(((int(total), name.strip()) for _, total, name in times[1:]), reverse=True)
    return [(name, f"{total / 1000:.0f}") for total, name in slowest[:_IMPORTS_SHOWN]]


if __name__ == "__main__":
    main()
