"""The process that decodes: it takes requests on standard input, and answers on standard output.

Whoever talks a decoder into running his code finds himself here: without the environment, with no file that
could be written and no process that could be started. Run by a worker: see ``shared.decoding.decoder``.
"""

import fcntl
import os
import resource
import signal
import sys

from shared.decoding.frames import READY, Request, pack_error, pack_picture, read_request
from shared.errors import Code, ItemError
from shared.images import Decode, decode

#: Open files: the three standard ones, and what Python may still have to import.
_MAX_FILES = 16
_STDERR = 2
#: Sent to everybody when a terminal or a service ends: we end when our parent has no more use for us.
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(decode: Decode = decode) -> None:
    """Answer requests until there are no more; the first argument is how many bytes of memory we may take."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    _die_with_the_parent()
    _limit_ourselves(int(sys.argv[1]))
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write(READY)
    answers.flush()
    while request := read_request(requests):
        answers.write(_answer(decode, request))
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


def _die_with_the_parent() -> None:
    """Be killed by SIGIO when our parent lets go of the pipe that is standard error here.

    A decoder may never return to see the end of standard input; and that cannot raise the signal itself, as
    it does so for what comes in, too: sometimes only after it was read (``pipe_write`` in Linux's fs/pipe.c).
    Whatever is written to standard error is of no interest, and must not be waited for when the pipe is full.
    """
    fcntl.fcntl(_STDERR, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(_STDERR, fcntl.F_GETFL)
    fcntl.fcntl(_STDERR, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)


def _answer(decode: Decode, request: Request) -> bytes:
    try:
        return pack_picture(decode(*request))
    except MemoryError:
        return pack_error(ItemError(Code.OUT_OF_MEMORY))
    except ItemError as error:
        return pack_error(error)


if __name__ == "__main__":
    run()
