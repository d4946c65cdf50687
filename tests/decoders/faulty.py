"""A decoding process with a hole: some images make it do what they say. All others it decodes."""

import ctypes
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from shared import images
from shared.decoding.child import run
from shared.errors import Code, ItemError
from shared.images import Limits, Picture


def _spin() -> None:
    """Never come back, as a loop in C does not."""
    re.fullmatch(r"(a+)+", "a" * 64 + "b")


def _fall_silent() -> None:
    os.close(1)
    time.sleep(3600)


def _take_all_memory() -> None:
    bytearray(1 << 40)


def _write() -> None:
    try:
        with open("/tmp/from-a-decoder", "wb") as file:  # noqa: PTH123
            file.write(b"more than nothing")
    except OSError as error:
        raise ItemError(Code.IMAGE_CORRUPT, str(error.strerror)) from error


def _complain() -> None:
    """Write more to standard error than any pipe holds, and do not ask what became of it, as libraries do."""
    with suppress(BlockingIOError):
        while True:
            os.write(2, b"!" * 4096)


_DEEDS: dict[bytes, Callable[[], object]] = {
    b"abort": os.abort,
    b"segmentation fault": lambda: ctypes.string_at(0),
    b"exit": lambda: os._exit(3),
    b"be killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    b"talk nonsense": lambda: os.write(1, b"\0" * 9 + b"\x07\0no code"),
    b"claim pixels": lambda: os.write(1, b"\x01" * 9 + b"\x04\0JPEG"),
    b"fall silent": _fall_silent,
    b"spin": _spin,
    b"dawdle": lambda: time.sleep(0.01),
    b"rest": lambda: time.sleep(2.5),
    b"complain": _complain,
    b"sleep": lambda: time.sleep(3600),
    b"take all memory": _take_all_memory,
    b"write": _write,
    b"deadly poison": os.abort,
}


def decode(data: bytes, side: int, crop: float, limits: Limits) -> Picture:
    for word, do in _DEEDS.items():
        if data.startswith(word) or (word == b"deadly poison" and word in data):
            do()
    return images.decode(data, side, crop, limits)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    run(decode)
