"""Resident memory of `smartsight label` on lists of growing length; most of their paths do not exist."""

import tempfile
from pathlib import Path

from benchmarks.measure import cost_of, pictures, print_table, smartsight

_LENGTHS = (10_000, 100_000, 1_000_000)
#: One line in this many is a real picture.
_REAL_EVERY = 10_000


def main() -> None:
    """Measure and print."""
    print_table(("references", "peak resident MB", "seconds", "references/s"), map(_row, _LENGTHS))


def _row(length: int) -> tuple[str, str, str, str]:
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch, "list.txt")
        _write_list(source, length)
        database = f"sqlite:///{scratch}/labels.db"
        cost = cost_of(smartsight("label", str(source), "--db", database, "--output", f"{scratch}/out.jsonl"))
    return f"{length:,}", f"{cost.memory:.0f}", f"{cost.wall:.0f}", f"{length / cost.wall:,.0f}"


def _write_list(path: Path, length: int) -> None:
    real = pictures()[0]
    with path.open("w") as file:
        for number in range(length):
            file.write(
                f"{real}\n" if number % _REAL_EVERY == 0 else f"/no/such/folder/picture-{number}.jpg\n"
            )


if __name__ == "__main__":
    main()
