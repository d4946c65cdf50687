"""Show how far a job is: a bar on a terminal, now and then a plain line elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from commands.terminal import is_quiet, say
from shared.items import ItemState
from shared.job_status import JobStatus
from shared.store.store import Tally

#: Seconds between two plain lines.
_PLAIN_INTERVAL = 10.0


class Progress(Protocol):
    """Shows counts as they change."""

    def update(self, counts: Mapping[ItemState, int], total: int | None = None) -> None:
        """Show these counts, and a total that has grown meanwhile."""
        ...

    def aside(self) -> AbstractContextManager[None]:
        """Make room for something else to be printed."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


def show_progress(total: int, done_before: int) -> Progress:
    """Return what suits standard error; the rate counts only what is done from now on."""
    if is_quiet():
        return Silent()
    if sys.stderr.isatty():
        return Bar(total, done_before)
    return PlainLines(total, done_before)


def counts_by_state(tallies: Iterable[Tally]) -> dict[ItemState, int]:
    """Return how many items are in each state that occurs."""
    counts: dict[ItemState, int] = {}
    for tally in tallies:
        counts[tally.state] = counts.get(tally.state, 0) + tally.count
    return counts


def summary(job: JobStatus, done_now: int, seconds: float) -> Iterator[str]:
    """Yield the lines of the summary: counts by state, failures by code, and the rate of this run."""
    rate = done_now / seconds if seconds else 0.0
    counts = _in_words(job.ended)
    yield f"{job.done} images: {counts}; {done_now} in {seconds:.1f} s, {rate:.1f} images/s"
    yield from causes(job, 8)


def causes(job: JobStatus, width: int) -> Iterator[str]:
    """Yield a line for each error code of a job, the most frequent first."""
    yield from (f"  {count.count:>{width}} {count.code}: {count.message}" for count in job.codes)


def _in_words(counts: Mapping[ItemState, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items())


class Bar:
    """A bar with the rate, the time left and the counts by state."""

    def __init__(self, total: int, done_before: int) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=total, initial=done_before, unit=" images", dynamic_ncols=True, leave=False)

    def update(self, counts: Mapping[ItemState, int], total: int | None = None) -> None:
        """Show these counts."""
        self._bar.total = total or self._bar.total
        self._bar.set_postfix({str(state): count for state, count in counts.items()}, refresh=False)
        self._bar.update(sum(counts.values()) - self._bar.n)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Clear the bar while something else is printed."""
        with self._bar.external_write_mode():
            yield

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()


class PlainLines:
    """A line every few seconds, for a log file."""

    def __init__(self, total: int, done_before: int) -> None:
        self._total = total
        self._done_before = done_before
        self._started = self._shown = time.monotonic()

    def update(self, counts: Mapping[ItemState, int], total: int | None = None) -> None:
        """Print a line if it is time for one."""
        self._total = total or self._total
        if time.monotonic() - self._shown >= _PLAIN_INTERVAL:
            self._shown = time.monotonic()
            say(self.line(counts, self._shown - self._started))

    def line(self, counts: Mapping[ItemState, int], seconds: float) -> str:
        """Return the line for these counts, so many seconds after the start."""
        finished = sum(counts.values())
        rate = (finished - self._done_before) / seconds
        left = f"{(self._total - finished) / rate:.0f} s left" if rate else "time left unknown"
        by_state = _in_words(counts) or "none yet"
        return f"{finished} of {self._total} images ({by_state}), {rate:.1f} images/s, {left}"

    def aside(self) -> AbstractContextManager[None]:
        """Do nothing: lines are no obstacle."""
        return nullcontext()

    def close(self) -> None:
        """Do nothing: every line is out."""


class Silent:
    """Shows nothing: nobody sits in front."""

    def update(self, counts: Mapping[ItemState, int], total: int | None = None) -> None:
        """Show nothing."""

    def aside(self) -> AbstractContextManager[None]:
        """Do nothing."""
        return nullcontext()

    def close(self) -> None:
        """Do nothing."""


class Counting:
    """Shows a number that grows, nobody knows how far."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._started = self._shown = time.monotonic()
        self._first: int | None = None
        self._interval = 0.2 if sys.stderr.isatty() else _PLAIN_INTERVAL

    def __enter__(self) -> "Counting":
        return self

    def update(self, count: int) -> None:
        """Show a number, if it is time for that."""
        if self._first is None:
            self._first = count
        now = time.monotonic()
        if now - self._shown >= self._interval and not is_quiet():
            self._shown = now
            rate = (count - self._first) / (now - self._started)
            line = f"{count} {self._what}, {rate:.0f}/s"
            if sys.stderr.isatty():
                print(f"\r{line} ", end="", file=sys.stderr, flush=True)
            else:
                say(line)

    def __exit__(self, *_: object) -> None:
        if sys.stderr.isatty() and not is_quiet():
            print("\r\033[K", end="", file=sys.stderr, flush=True)
