"""Encode messages as versioned JSON, and decode them strictly."""

import json
from typing import Any

from shared.items import Message

_VERSION = 1
_KEYS = frozenset({"v", "job", "index", "ref", "attempt"})
_MAX_BYTES = 65_536
#: Longest reference, in characters, as at submission.
_MAX_REF = 4096
_MAX_NUMBER = 2**63 - 1
_MAX_ATTEMPT = 2**15 - 1


class UnreadableMessageError(Exception):
    """The bytes are not a valid message."""


def encode(message: Message) -> bytes:
    """Return a message as bytes."""
    fields = {
        "v": _VERSION,
        "job": message.job_id,
        "index": message.index,
        "ref": message.ref,
        "attempt": message.attempt,
    }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def decode(body: bytes) -> Message:
    """Return the message in these bytes; raise ``UnreadableMessageError`` if they are anything else."""
    fields = _fields(body)
    if fields.get("v") != _VERSION or fields.keys() != _KEYS:
        raise UnreadableMessageError("unknown version")
    ref = fields["ref"]
    if not isinstance(ref, str) or not 0 < len(ref) <= _MAX_REF:
        raise UnreadableMessageError("invalid reference")
    job = _number(fields, "job", 1, _MAX_NUMBER)
    index = _number(fields, "index", 0, _MAX_NUMBER)
    return Message(job, index, ref, _number(fields, "attempt", 1, _MAX_ATTEMPT))


def _fields(body: bytes) -> dict[str, Any]:
    if len(body) > _MAX_BYTES:
        raise UnreadableMessageError(f"{len(body)} bytes")
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableMessageError("not JSON") from None
    if not isinstance(fields, dict):
        raise UnreadableMessageError("not a JSON object")
    return fields


def _number(fields: dict[str, Any], name: str, low: int, high: int) -> int:
    value = fields[name]
    if type(value) is not int or not low <= value <= high:
        raise UnreadableMessageError(f"{name} is not a number from {low} to {high}")
    return value
