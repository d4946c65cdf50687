"""What goes over the pipes between a worker and a process that decodes for it.

A request is a head and the bytes of an image file. An answer is a head and a text: the format, and then the
pixels of the asked-for square; or the code of a failure, a space and its detail.
"""

import struct
from typing import BinaryIO, NamedTuple

import numpy as np

from shared.errors import Code, ItemError
from shared.images import Limits, Picture

#: What a process says when it is ready for requests.
READY = b"r"
#: Bytes of the file, side, crop, and the limits.
_REQUEST = struct.Struct("<QIdQQ?")
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
    """What comes first of an answer; ``text`` is how many bytes of text come next."""

    decoded: bool
    width: int
    height: int
    text: int


def pack_request(request: DecodeRequest) -> bytes:
    """Return a request as one piece, so that one write sends it."""
    data, side, crop, limits = request
    head = _REQUEST.pack(len(data), side, crop, limits.max_bytes, limits.max_pixels, limits.tiff)
    return head + data


def read_request(stream: BinaryIO) -> DecodeRequest | None:
    """Return the next request, or None at the end of the stream."""
    head = stream.read(_REQUEST.size)
    if len(head) < _REQUEST.size:
        return None
    size, side, crop, max_bytes, max_pixels, tiff = _REQUEST.unpack(head)
    data = stream.read(size)
    return DecodeRequest(data, side, crop, Limits(max_bytes, max_pixels, tiff)) if len(data) == size else None


def pack_picture(picture: Picture) -> bytes:
    """Return the answer that carries a picture."""
    text = picture.format.encode()
    head = _ANSWER.pack(True, picture.width, picture.height, len(text))
    return b"".join((head, text, np.ascontiguousarray(picture.pixels).data))


def pack_error(error: ItemError) -> bytes:
    """Return the answer that says why there is none."""
    text = f"{error.code} {error.detail}".encode()
    return _ANSWER.pack(False, 0, 0, len(text)) + text


def unpack_head(head: bytes | bytearray) -> AnswerHead:
    """Read the head of an answer."""
    return AnswerHead(*_ANSWER.unpack(head))


def unpack_error(text: str) -> ItemError:
    """Read the text of an answer without pixels; raise ``ValueError`` if there is no such code."""
    code, _, detail = text.partition(" ")
    return ItemError(Code(code), detail)
