"""Webhooks: notify a URL that a job is over, with retries, until it accepts the message.

Messages are signed as Standard Webhooks has it
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
"""

import asyncio
import base64
import logging
import random
import secrets
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson
from standardwebhooks import Webhook as Signer

from shared.errors import Code, ItemError, RequestError, ResourceError, UsageError
from shared.fetching.guard import UrlGate
from shared.fetching.posting import check_target
from shared.hosts import host_of
from shared.items import ItemState, now
from shared.store.store import Job, Store, Tally, Webhook
from shared.store.summaries import in_utc

_log = logging.getLogger("smartsight.webhooks")

#: Times have the one form of `shared.times`.
_JSON_FORM = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS
_SECRET_PREFIX = "whsec_"
#: Bytes of a new secret, and those that a secret may have.
_SECRET_SIZE, _SECRET_SIZES = 32, range(24, 65)
#: Seconds between two looks for webhooks that are due.
_INTERVAL = 1.0
#: Webhooks that one process calls at the same time.
_CONCURRENCY = 16
#: How long a webhook is leased, in seconds: longer than a request and a slow store take.
_LEASE = 60.0
#: Seconds before the second, third, ... attempt, as Standard Webhooks has them: three days in all.
SCHEDULE = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
#: How much longer a pause may be by chance, as a part of it: what failed together is retried apart.
_JITTER = 0.1
#: Failures that no retry can mend: the receiver is gone for good, or may not be called.
_PERMANENT = (Code.HTTP_410, Code.URL_NOT_ALLOWED)


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """What is sent when a job is over; ``id`` is the same in every attempt."""

    id: str
    body: bytes


def make_secret() -> str:
    """Return a new secret to sign with."""
    return _SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_SIZE)).decode()


def check_webhook(url: str, secret: str, gate: UrlGate) -> None:
    """Raise ``RequestError(webhook_invalid)`` for a URL that may not be called, or a malformed secret."""
    try:
        check_target(gate, url)
    except ItemError as error:
        raise RequestError(Code.WEBHOOK_INVALID, f"its URL: {error.detail}") from error
    if not _is_secret(secret):
        sizes = f"{_SECRET_SIZES[0]} to {_SECRET_SIZES[-1]}"
        detail = f"its secret: must be {_SECRET_PREFIX} and {sizes} bytes in base64"
        raise RequestError(Code.WEBHOOK_INVALID, detail)


def with_secret(url: str, secret: str | None, gate: UrlGate) -> tuple[str, str]:
    """Return a URL with its secret, a new one if none is given; raise as ``check_webhook`` does."""
    known = secret or make_secret()
    check_webhook(url, known, gate)
    return url, known


def message_of(job: Job, tallies: Iterable[Tally], prefix: str = "") -> WebhookMessage:
    """Return the message about a job that is over; its links begin with the API's path prefix."""
    assert job.finished_at is not None, "the job is not over"
    finished_at = in_utc(job.finished_at)
    # A job that is retried is over several times: to the receiver these are different events.
    id_ = f"msg_{job.id}_{int(finished_at.timestamp() * 1000)}"
    event = {"type": f"job.{job.state}", "timestamp": finished_at, "data": _data(job, tallies, prefix)}
    return WebhookMessage(id_, orjson.dumps(event, option=_JSON_FORM))


def signed_headers(message: WebhookMessage, secret: str, time: datetime) -> dict[str, str]:
    """Return the headers of a message that is sent at this time."""
    return {
        "Content-Type": "application/json",
        "webhook-id": message.id,
        "webhook-timestamp": str(int(time.timestamp())),
        "webhook-signature": Signer(secret).sign(message.id, time, message.body.decode()),
    }


def _data(job: Job, tallies: Iterable[Tally], prefix: str) -> dict[str, Any]:
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
        "links": {"job": f"{prefix}/v1/jobs/{job.id}", "results": f"{prefix}/v1/jobs/{job.id}/results"},
    }


def _is_secret(text: str) -> bool:
    try:
        content = base64.b64decode(text.removeprefix(_SECRET_PREFIX), validate=True)
    except ValueError:
        return False
    return text.startswith(_SECRET_PREFIX) and len(content) in _SECRET_SIZES


class Poster(Protocol):
    """Sends POST requests."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Send a request; raise ``ItemError`` unless it is answered with a 2xx status."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


class WebhookDispatcher:
    """Calls the webhooks of jobs that are over; several processes may share a store.

    Links in messages begin with the API's path ``prefix``.
    """

    def __init__(
        self, store: Store, poster: Poster, schedule: Sequence[float] = SCHEDULE, prefix: str = ""
    ) -> None:
        self._store = store
        self._prefix = prefix
        self._poster = poster
        self._schedule = schedule
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, stop: threading.Event) -> None:
        """Call what is due until stopped; then finish the calls in progress."""
        asyncio.run(self._run(stop))

    async def _run(self, stop: threading.Event) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                while not await asyncio.to_thread(stop.wait, _INTERVAL):
                    for webhook in await self._lease_due():
                        task = tasks.create_task(self._call(webhook))
                        self._tasks.add(task)
                        task.add_done_callback(self._tasks.discard)
        finally:
            await self._poster.close()

    async def _lease_due(self) -> Sequence[Webhook]:
        """Lease as many webhooks as may be called now."""
        room = _CONCURRENCY - len(self._tasks)
        if room == 0:
            return []
        try:
            return await asyncio.to_thread(self._store.webhooks.due, room, _LEASE)
        except ResourceError as error:
            _log.warning("webhooks paused: store unavailable", extra={"reason": str(error)})
            return []

    async def _call(self, webhook: Webhook) -> None:
        """Make one attempt, and record its outcome."""
        try:
            message = await asyncio.to_thread(self._message_for, webhook)
            if message is not None:
                failure = await self._send(webhook, message)
                await asyncio.to_thread(self._record, webhook, failure)
        except (ResourceError, UsageError) as error:
            # The store is away, and the call is repeated when the lease has expired; or the job was deleted.
            fields = {"job": webhook.job_id, "reason": str(error)}
            _log.warning("webhook outcome not recorded", extra=fields)

    def _message_for(self, webhook: Webhook) -> WebhookMessage | None:
        """Return the message about a job, or None if it is being retried."""
        job = self._store.jobs.get(webhook.job_id)
        if not job.state.is_over:
            return None
        return message_of(job, self._store.results.tallies(job.id), self._prefix)

    async def _send(self, webhook: Webhook, message: WebhookMessage) -> ItemError | None:
        """Make one attempt, and return its failure, if any."""
        try:
            headers = signed_headers(message, webhook.secret, now())
            await self._poster.post(webhook.url, message.body, headers)
        except ItemError as error:
            return error
        except Exception as error:  # a bug costs one attempt, and not all webhooks
            _log.exception("unexpected failure", extra={"job": webhook.job_id})
            return ItemError(Code.INTERNAL_ERROR, type(error).__name__)
        return None

    def _record(self, webhook: Webhook, failure: ItemError | None) -> None:
        # The host alone: paths and queries of such URLs are often secrets.
        fields: dict[str, Any] = {"job": webhook.job_id, "host": host_of(webhook.url)}
        if failure is None:
            self._store.webhooks.note_delivered(webhook)
            _log.info("webhook delivered", extra=fields)
            return
        pause = pause_after(webhook.attempts, failure, self._schedule, random.random())
        self._store.webhooks.note_failed(webhook, _reason(failure), pause)
        fields |= {"reason": _reason(failure), "retry_after": None if pause is None else round(pause)}
        _log.warning("webhook given up" if pause is None else "webhook failed", extra=fields)


def pause_after(attempts: int, failure: ItemError, schedule: Sequence[float], chance: float) -> float | None:
    """Return the seconds to wait after so many attempts, or None if there are no more.

    ``chance`` is between 0 and 1. The receiver's Retry-After is respected, up to the longest pause.
    """
    if failure.code in _PERMANENT or attempts > len(schedule):
        return None
    retry_after = min(failure.retry_after or 0.0, schedule[-1])
    return max(schedule[attempts - 1], retry_after) * (1 + _JITTER * chance)


def _reason(failure: ItemError) -> str:
    """Return a failure for people: its code, and the HTTP status or the detail."""
    detail = failure.detail if failure.http_status is None else f"HTTP {failure.http_status}"
    return f"{failure.code} ({detail})" if detail else str(failure.code)
