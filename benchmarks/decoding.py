"""Decoding in this process against decoding in a child process, alternately."""

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from benchmarks.measure import median, pictures, print_table
from shared.decoding.decoder import DecoderProcess, memory_for
from shared.images import Decode, Limits, decode

_ROUNDS = 9
_SIDE, _CROP = 224, 0.875
_LIMITS = Limits()


class _Times(NamedTuple):
    """Seconds of CPU time here, in the decoding process, and of wall time."""

    here: float
    there: float
    wall: float


def main() -> None:
    """Measure and print."""
    images = [path.read_bytes() for path in pictures()]
    with closing(DecoderProcess(memory_for(_LIMITS))) as decoder:
        _run(images, decoder.decode, decoder)  # both sides are warm before anything counts
        rounds = [
            (_run(images, decode, decoder), _run(images, decoder.decode, decoder)) for _ in range(_ROUNDS)
        ]
    inside, apart = ([pair[place] for pair in rounds] for place in (0, 1))
    base = median(times.here for times in inside)
    head = ("decode one image", "CPU ms", "of which in the child", "wall ms", "ratio of CPU")
    print_table(head, [_row("in process", inside, base), _row("in a child", apart, base)])
    more = [1000 * (there.here + there.there - here.here) / len(images) for here, there in rounds]
    print(f"\nextra CPU ms in a child, round by round: {', '.join(f'{ms:.2f}' for ms in more)}")
    _print_start()


def _row(name: str, rounds: Sequence[_Times], base: float) -> tuple[str, ...]:
    cpu = median(times.here + times.there for times in rounds)
    there, wall = median(times.there for times in rounds), median(times.wall for times in rounds)
    count = len(pictures())
    figures = (f"{1000 * seconds / count:.2f}" for seconds in (cpu, there, wall))
    return (name, *figures, f"{cpu / base:.3f}")


def _run(images: Sequence[bytes], decode: Decode, decoder: DecoderProcess) -> _Times:
    started, here, there = time.monotonic(), time.process_time(), _cpu(decoder)
    for image in images:
        decode(image, _SIDE, _CROP, _LIMITS)
    return _Times(time.process_time() - here, _cpu(decoder) - there, time.monotonic() - started)


def _cpu(decoder: DecoderProcess) -> float:
    """Return the CPU seconds of the child so far, with a resolution better than 10 ms."""
    if decoder.pid is None:
        return 0.0
    return int(Path(f"/proc/{decoder.pid}/schedstat").read_text().split()[0]) / 1e9


def _print_start() -> None:
    seconds, cpu = [], []
    for _ in range(_ROUNDS):
        with closing(DecoderProcess(memory_for(_LIMITS))) as decoder:
            started = time.monotonic()
            decoder.await_ready()
            seconds.append(time.monotonic() - started)
            cpu.append(_cpu(decoder))
    print(f"a child starts in {median(seconds):.2f} s, with {median(cpu):.2f} CPU seconds")


if __name__ == "__main__":
    main()
