"""Tell webhooks that their jobs are over: again and again, at growing intervals, until they take it."""

import asyncio
import logging
import random
import threading
from collections.abc import Mapping, Sequence
from typing import Protocol

from results_api.webhooks.messages import Message, message_of, signed_headers
from shared.errors import Code, ItemError, ResourceError, UsageError
from shared.hosts import host_of
from shared.items import now
from shared.store.store import Store, Webhook

_log = logging.getLogger("smartsight.webhooks")

#: Seconds between two looks at what is due.
_INTERVAL = 1.0
#: How many webhooks are told at a time, by one process.
_AT_ONCE = 16
#: How long a webhook stays ours, in seconds: longer than a request and a slow store take.
_LEASE = 60.0
#: Seconds before the second, third, ... attempt, as Standard Webhooks has them: three days in all.
SCHEDULE = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
#: How much longer a pause may be by chance, as a part of it: what failed together shall not come together.
_JITTER = 0.1
#: What no later attempt can change: nobody is there any more, or nobody may be called there.
_FINAL = (Code.HTTP_410, Code.URL_NOT_ALLOWED)


class Poster(Protocol):
    """What telling webhooks needs of the web."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """See ``WebPoster``."""
        ...

    async def close(self) -> None:
        """See ``WebPoster``."""
        ...


class WebhookDispatcher:
    """Tells webhooks. Several may do so on one store: each webhook is told by one of them at a time."""

    def __init__(self, store: Store, poster: Poster, schedule: Sequence[float] = SCHEDULE) -> None:
        self._store = store
        self._poster = poster
        self._schedule = schedule
        self._in_hand: set[asyncio.Task[None]] = set()

    def run(self, stop: threading.Event) -> None:
        """Tell what is due until told to stop, and finish then what is in hand."""
        asyncio.run(self._run(stop))

    async def _run(self, stop: threading.Event) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                while not await asyncio.to_thread(stop.wait, _INTERVAL):
                    for webhook in await self._due():
                        task = tasks.create_task(self._tell(webhook))
                        self._in_hand.add(task)
                        task.add_done_callback(self._in_hand.discard)
        finally:
            await self._poster.close()

    async def _due(self) -> Sequence[Webhook]:
        """Claim as much as there is room for."""
        room = _AT_ONCE - len(self._in_hand)
        if room == 0:
            return []
        try:
            return await asyncio.to_thread(self._store.webhooks.due, room, _LEASE)
        except ResourceError as error:
            _log.warning("no webhook is told for now: %s", error)
            return []

    async def _tell(self, webhook: Webhook) -> None:
        """Tell one webhook, and write down what became of it."""
        try:
            message = await asyncio.to_thread(self._message_for, webhook)
            if message is not None:
                failure = await self._send(webhook, message)
                await asyncio.to_thread(self._note, webhook, failure)
        except (ResourceError, UsageError) as error:
            # The store is away, and when our claim has run out it is told once more; or the job is gone.
            _log.warning("job %s: what became of its webhook is not known: %s", webhook.job_id, error)

    def _message_for(self, webhook: Webhook) -> Message | None:
        """Return what there is to tell, or None if the job runs again."""
        job = self._store.jobs.get(webhook.job_id)
        return message_of(job, self._store.results.tallies(job.id)) if job.state.is_over else None

    async def _send(self, webhook: Webhook, message: Message) -> ItemError | None:
        """Make one attempt, and return how it failed, if it did."""
        try:
            headers = signed_headers(message, webhook.secret, now())
            await self._poster.post(webhook.url, message.body, headers)
        except ItemError as error:
            return error
        except Exception as error:  # a defect of ours costs one attempt, with a report, and not all webhooks
            _log.exception("unexpected failure", extra={"job": webhook.job_id})
            return ItemError(Code.INTERNAL_ERROR, type(error).__name__)
        return None

    def _note(self, webhook: Webhook, failure: ItemError | None) -> None:
        # Its host alone: paths and queries of such URLs are often secrets.
        job_id, host = webhook.job_id, host_of(webhook.url)
        if failure is None:
            self._store.webhooks.note_delivered(webhook)
            _log.info("job %s: told %s", job_id, host)
            return
        pause = pause_after(webhook.attempts, failure, self._schedule, random.random())
        self._store.webhooks.note_failed(webhook, _reason(failure), pause)
        further = "given up" if pause is None else f"again in {pause:.0f} s"
        _log.warning("job %s: %s was not told, %s: %s", job_id, host, further, _reason(failure))


def pause_after(attempts: int, failure: ItemError, schedule: Sequence[float], chance: float) -> float | None:
    """Return how many seconds to wait after so many attempts, or None if no other one is to be made.

    ``chance`` is between 0 and 1. A receiver that asks for more time gets it, up to the longest pause.
    """
    if failure.code in _FINAL or attempts > len(schedule):
        return None
    asked = min(failure.retry_after or 0.0, schedule[-1])
    return max(schedule[attempts - 1], asked) * (1 + _JITTER * chance)


def _reason(failure: ItemError) -> str:
    """Return what people read of a failure: its code, and what the receiver answered."""
    said = failure.detail if failure.http_status is None else f"HTTP {failure.http_status}"
    return f"{failure.code} ({said})" if said else str(failure.code)
