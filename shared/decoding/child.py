"""The process that decodes: it takes requests on standard input, and answers on standard output.

Whoever talks a decoder into running his code finds himself here: without the environment, with no file that
could be written and no process that could be started. Run by a worker: see ``shared.decoding.decoder``.
"""

import fcntl
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from shared.decoding.frames import READY, Request, pack_error, pack_picture, read_request
from shared.errors import Code, ItemError
from shared.images import Decode, decode

#: Open files: the three standard ones, and what Python may still have to import.
_MAX_FILES = 16
_STDIN = 0
#: Sent to everybody when a terminal or a service ends: we end when our parent has no more use for us.
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(decode: Decode = decode) -> None:
    """Answer requests until there are no more; the first argument is how many bytes of memory we may take."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    fcntl.fcntl(_STDIN, fcntl.F_SETOWN, os.getpid())
    _limit_ourselves(int(sys.argv[1]))
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write(READY)
    answers.flush()
    while request := read_request(requests):
        with _dying_with_the_parent():
            answer = _answer(decode, request)
        answers.write(answer)
        answers.flush()


def _limit_ourselves(memory: int) -> None:
    """Give up, for good, what decoding does not need.

    Processor time has no limit: it would be one over our whole life. Our parent limits each image's time.
    """
    _limit(resource.RLIMIT_AS, memory)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, _MAX_FILES)
    _limit(resource.RLIMIT_NPROC, 0)


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (value, value))


@contextmanager
def _dying_with_the_parent() -> Iterator[None]:
    """Be killed by SIGIO if standard input ends meanwhile: a decoder may never return to see it."""
    flags = fcntl.fcntl(_STDIN, fcntl.F_GETFL)
    fcntl.fcntl(_STDIN, fcntl.F_SETFL, flags | os.O_ASYNC)
    try:
        yield
    finally:
        fcntl.fcntl(_STDIN, fcntl.F_SETFL, flags)


def _answer(decode: Decode, request: Request) -> bytes:
    try:
        return pack_picture(decode(*request))
    except MemoryError:
        return pack_error(ItemError(Code.OUT_OF_MEMORY))
    except ItemError as error:
        return pack_error(error)


if __name__ == "__main__":
    run()
