"""Show how far a job is: a bar on a terminal, now and then a plain line elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from commands.terminal import is_quiet, say
from shared.items import ItemState, now
from shared.job_status import JobStatus
from shared.store.store import Tally
from shared.time_left import TimeLeft, how_to_give_up, in_short
from shared.words import rate

#: Seconds between two plain lines.
_PLAIN_INTERVAL = 10.0
#: A bar without the time left by tqdm, which knows nothing of images that wait for another attempt.
_BAR = "{l_bar}{bar:30}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"


class Progress(Protocol):
    """Shows counts as they change."""

    def update(self, counts: Mapping[ItemState, int], total: int, left: TimeLeft | None) -> None:
        """Show these counts, a total that may have grown meanwhile, and what is known of what is left."""
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
    pace = done_now / seconds if seconds else 0.0
    counts = _in_words(job.ended)
    yield f"{job.done} images: {counts}; {done_now} in {seconds:.1f} s, {pace:.1f} images/s"
    yield from causes(job, 8)


def causes(job: JobStatus, width: int) -> Iterator[str]:
    """Yield a line for each error code of a job, the most frequent first."""
    yield from (f"  {count.count:>{width}} {count.code}: {count.message}" for count in job.codes)


def _what_is_left(left: TimeLeft | None) -> str:
    if left is None:
        return ""
    pace = rate(left.rate) if left.rate and left.moving else ""
    return ", ".join(filter(None, [pace, in_short(left, now())]))


class GiveUpOffer:
    """Says once how to end what waits for another attempt: when all that is left waits."""

    def __init__(self, job_id: int, api_option: str = "") -> None:
        self._words = how_to_give_up(job_id, api_option)
        self._is_said = False

    def update(self, left: TimeLeft | None, progress: Progress) -> None:
        """Say it if it is time for that."""
        if left and left.waiting and not left.moving and not self._is_said:
            self._is_said = True
            with progress.aside():
                say(self._words)


def _in_words(counts: Mapping[ItemState, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items())


class Bar:
    """A bar with the rate, the time left and the counts by state."""

    def __init__(self, total: int, done_before: int) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=total, initial=done_before, bar_format=_BAR, dynamic_ncols=True, leave=False)

    def update(self, counts: Mapping[ItemState, int], total: int, left: TimeLeft | None) -> None:
        """Show these counts."""
        self._bar.total = total
        numbers = [f"{state}={count}" for state, count in counts.items()]
        self._bar.set_postfix_str(", ".join(filter(None, [_what_is_left(left), *numbers])), refresh=False)
        self._bar.update(sum(counts.values()) - self._bar.n)
        self._bar.refresh()  # also when nothing has moved: what is left is told by the clock

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

    def update(self, counts: Mapping[ItemState, int], total: int, left: TimeLeft | None) -> None:
        """Print a line if it is time for one."""
        self._total = total
        if time.monotonic() - self._shown >= _PLAIN_INTERVAL:
            self._shown = time.monotonic()
            say(self.line(counts, self._shown - self._started, left))

    def line(self, counts: Mapping[ItemState, int], seconds: float, left: TimeLeft | None) -> str:
        """Return the line for these counts, so many seconds after the start."""
        finished = sum(counts.values())
        pace = (finished - self._done_before) / seconds
        by_state = _in_words(counts) or "none yet"
        rest = f", {in_short(left, now())}" if left else ""
        return f"{finished} of {self._total} images ({by_state}), {pace:.1f} images/s{rest}"

    def aside(self) -> AbstractContextManager[None]:
        """Do nothing: lines are no obstacle."""
        return nullcontext()

    def close(self) -> None:
        """Do nothing: every line is out."""


class Silent:
    """Shows nothing: nobody sits in front."""

    def update(self, counts: Mapping[ItemState, int], total: int, left: TimeLeft | None) -> None:
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
        time_now = time.monotonic()
        if time_now - self._shown >= self._interval and not is_quiet():
            self._shown = time_now
            line = f"{count} {self._what}, {(count - self._first) / (time_now - self._started):.0f}/s"
            if sys.stderr.isatty():
                print(f"\r{line} ", end="", file=sys.stderr, flush=True)
            else:
                say(line)

    def __exit__(self, *_: object) -> None:
        if sys.stderr.isatty() and not is_quiet():
            print("\r\033[K", end="", file=sys.stderr, flush=True)
