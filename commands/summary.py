"""What a job came to, in words."""

from collections.abc import Iterator, Sequence

from commands.progress import counts_by_state, done
from shared.items import ItemState
from shared.store.store import Tally


def summary(tallies: Sequence[Tally], done_now: int, seconds: float) -> Iterator[str]:
    """Yield the lines of the summary: counts by state, failures by code, and the rate of this run."""
    counts = counts_by_state(tallies)
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    rate = done_now / seconds if seconds else 0.0
    yield f"{done(tallies)} images: {states}; {done_now} in {seconds:.1f} s, {rate:.1f} images/s"
    for tally in sorted(tallies, key=lambda tally: -tally.count):
        if tally.code is not None:
            yield f"  {tally.count:>8} {tally.code}: {tally.code.sentence}"


def all_succeeded(tallies: Sequence[Tally]) -> bool:
    """Tell whether every item got its labels."""
    return all(tally.state is ItemState.SUCCEEDED for tally in tallies)
