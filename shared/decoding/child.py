"""The process that decodes images, and its protocol with the parent.

It reads requests from standard input and writes answers to standard output. A request is a head and the
bytes of an image file. An answer is a head and a text: the format, followed by the pixels of the requested
square; or an error code, a space and its detail.

Code that takes over a decoder runs here: without the environment, unable to write files or start processes.
Started by ``shared.decoding.decoder``.
"""

import resource
import struct
import sys
from dataclasses import astuple
from typing import BinaryIO, NamedTuple

import numpy as np

from shared.confined_process import confine, limit
from shared.errors import Code, ItemError
from shared.images import Decode, Limits, Picture, decode

#: Sent by the process when it is ready for requests.
READY = b"r"
#: Bytes of the file, side, crop, and the limits.
_REQUEST = struct.Struct("<QIdQQ??")
#: Whether there are pixels, width, height, bytes of the text.
_ANSWER = struct.Struct("<?IIH")
ANSWER_SIZE = _ANSWER.size


class DecodeRequest(NamedTuple):
    """The arguments of ``shared.images.decode``."""

    data: bytes
    side: int
    crop: float
    limits: Limits


class AnswerHead(NamedTuple):
    """The first part of an answer; ``text`` is the number of bytes of text that follow."""

    decoded: bool
    width: int
    height: int
    text: int


def pack_request(request: DecodeRequest) -> bytes:
    """Return a request as one piece, so that one write sends it."""
    data, side, crop, limits = request
    head = _REQUEST.pack(len(data), side, crop, *astuple(limits))
    return head + data


def read_request(stream: BinaryIO) -> DecodeRequest | None:
    """Return the next request, or None at the end of the stream."""
    head = stream.read(_REQUEST.size)
    if len(head) < _REQUEST.size:
        return None
    size, side, crop, *limits = _REQUEST.unpack(head)
    data = stream.read(size)
    return DecodeRequest(data, side, crop, Limits(*limits)) if len(data) == size else None


def pack_picture(picture: Picture) -> bytes:
    """Return an answer with a picture."""
    text = picture.format.encode()
    head = _ANSWER.pack(True, picture.width, picture.height, len(text))
    return b"".join((head, text, np.ascontiguousarray(picture.pixels).data))


def pack_error(error: ItemError) -> bytes:
    """Return an answer with an error."""
    text = f"{error.code} {error.detail}".encode()
    return _ANSWER.pack(False, 0, 0, len(text)) + text


def unpack_head(head: bytes | bytearray) -> AnswerHead:
    """Read the head of an answer."""
    return AnswerHead(*_ANSWER.unpack(head))


def unpack_error(text: str) -> ItemError:
    """Read the text of an answer without pixels; raise ``ValueError`` if there is no such code."""
    code, _, detail = text.partition(" ")
    return ItemError(Code(code), detail)


#: Open files: the three standard ones, and what Python may still have to import.
_MAX_FILES = 16


def run(decode: Decode = decode) -> None:
    """Answer requests until there are no more; the first argument is the memory limit in bytes."""
    _limit_ourselves(int(sys.argv[1]))
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write(READY)
    answers.flush()
    while request := read_request(requests):
        answers.write(_answer(decode, request))
        answers.flush()


def _limit_ourselves(memory: int) -> None:
    """Drop all rights that decoding does not need. The parent limits the time of each image."""
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
