"""What a webhook is told when a job is over, and how it knows that it is told by us.

The form is that of Standard Webhooks
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
"""

import base64
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from standardwebhooks import Webhook as Signer

from shared.errors import Code, ItemError, RequestError
from shared.fetching.posting import check_target
from shared.fetching.urls import UrlGate
from shared.items import ItemState
from shared.store.store import Job, Tally
from shared.store.summaries import in_utc

_PREFIX = "whsec_"
#: How long secrets are, and may be, in bytes.
_SECRET_SIZE, _SECRET_SIZES = 32, range(24, 65)


@dataclass(frozen=True, slots=True)
class Message:
    """What is told of the end of a job; ``id`` is the same however often it is sent."""

    id: str
    body: bytes


def make_secret() -> str:
    """Return a new secret to sign with."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_SIZE)).decode()


def check_webhook(url: str, secret: str, gate: UrlGate) -> None:
    """Raise ``RequestError(webhook_invalid)`` for a URL that is never called, or a secret of another form."""
    try:
        check_target(gate, url)
    except ItemError as error:
        raise RequestError(Code.WEBHOOK_INVALID, f"its URL: {error.detail}") from error
    if not _is_secret(secret):
        sizes = f"{_SECRET_SIZES[0]} to {_SECRET_SIZES[-1]}"
        raise RequestError(Code.WEBHOOK_INVALID, f"its secret: say {_PREFIX} and {sizes} bytes in base64")


def judged(url: str, secret: str | None, gate: UrlGate) -> tuple[str, str]:
    """Return a URL and a secret, made here if there is none; raise what ``check_webhook`` raises."""
    known = secret or make_secret()
    check_webhook(url, known, gate)
    return url, known


def message_of(job: Job, tallies: Iterable[Tally]) -> Message:
    """Return what is told of a job that is over."""
    assert job.finished_at is not None, "the job is not over"
    finished_at = in_utc(job.finished_at)
    # A job can be over several times, as it can be retried: to the receiver these are different events.
    id_ = f"msg_{job.id}_{int(finished_at.timestamp() * 1000)}"
    event = {"type": f"job.{job.state}", "timestamp": finished_at, "data": _data(job, tallies)}
    return Message(id_, orjson.dumps(event, option=orjson.OPT_UTC_Z))


def signed_headers(message: Message, secret: str, time: datetime) -> dict[str, str]:
    """Return the headers of a message that is sent at this time."""
    return {
        "Content-Type": "application/json",
        "webhook-id": message.id,
        "webhook-timestamp": str(int(time.timestamp())),
        "webhook-signature": Signer(secret).sign(message.id, time, message.body.decode()),
    }


def _data(job: Job, tallies: Iterable[Tally]) -> dict[str, Any]:
    counts = {str(state): 0 for state in ItemState if state is not ItemState.PENDING}
    for tally in tallies:
        counts[tally.state] += tally.count
    return {
        "job": job.id,
        "name": job.name,
        "state": str(job.state),
        "reason": job.reason,
        "created_at": in_utc(job.created_at),
        "submitted": job.submitted,
        "counts": counts,
        "links": {"job": f"/v1/jobs/{job.id}", "results": f"/v1/jobs/{job.id}/results"},
    }


def _is_secret(text: str) -> bool:
    try:
        content = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except ValueError:
        return False
    return text.startswith(_PREFIX) and len(content) in _SECRET_SIZES
