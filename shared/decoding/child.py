"""The process that decodes: it takes requests on standard input, and answers on standard output.

Whoever talks a decoder into running his code finds himself here: without the environment, with no file that
could be written and no process that could be started. Run by a worker: see ``shared.decoding.decoder``.
"""

import resource
import sys

from shared.confinement import confine, limit
from shared.decoding.frames import READY, DecodeRequest, pack_error, pack_picture, read_request
from shared.errors import Code, ItemError
from shared.images import Decode, decode

#: Open files: the three standard ones, and what Python may still have to import.
_MAX_FILES = 16


def run(decode: Decode = decode) -> None:
    """Answer requests until there are no more; the first argument is how many bytes of memory we may take."""
    _limit_ourselves(int(sys.argv[1]))
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write(READY)
    answers.flush()
    while request := read_request(requests):
        answers.write(_answer(decode, request))
        answers.flush()


def _limit_ourselves(memory: int) -> None:
    """Give up, for good, what decoding does not need. Our parent limits each image's time."""
    confine(memory)
    limit(resource.RLIMIT_NOFILE, _MAX_FILES)
    limit(resource.RLIMIT_NPROC, 0)


def _answer(decode: Decode, request: DecodeRequest) -> bytes:
    try:
        return pack_picture(decode(*request))
    except MemoryError:
        return pack_error(ItemError(Code.OUT_OF_MEMORY))
    except ItemError as error:
        return pack_error(error)


if __name__ == "__main__":
    run()
