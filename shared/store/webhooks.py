"""Webhooks: the URLs to notify when a job is over, and the state of their delivery."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, select, update

from shared.items import JobState
from shared.store.database import Database
from shared.store.schema import jobs
from shared.store.schema_api import webhooks
from shared.store.statements import insert_new, time_now

#: A clock that shows so many seconds less than before was ahead and has been set back.
_SET_BACK = 60.0
_OVER = tuple(state for state in JobState if state.is_over)


class WebhookState(StrEnum):
    """State of a webhook's delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Webhook:
    """A URL to notify when a job is over.

    ``attempts`` counts those since the job last ended. Until ``next_at``, in seconds since 1970 by the
    database's clock, no other process sends; it also identifies a claim. It was set at ``put_off_at``.
    """

    job_id: int
    url: str
    secret: str = field(repr=False)
    state: WebhookState = WebhookState.PENDING
    attempts: int = 0
    next_at: float = 0.0
    last_error: str = ""
    put_off_at: float = 0.0


class Webhooks:
    """The statements on webhooks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, job_id: int, url: str, secret: str) -> None:
        """Add a webhook to a job; an existing one is unchanged."""
        with self._database.write() as connection:
            add_webhook(connection, job_id, url, secret)

    def get(self, job_id: int) -> Webhook | None:
        """Return the webhook of a job, or None if it has none."""
        return self.get_many([job_id]).get(job_id)

    def get_many(self, job_ids: Collection[int]) -> dict[int, Webhook]:
        """Return the webhooks of these jobs, by job."""
        query = select(webhooks).where(webhooks.c.job_id.in_(job_ids))
        with self._database.read() as connection:
            rows = connection.execute(query).mappings()
            return {row["job_id"]: _webhook(row) for row in rows}

    def due(self, limit: int, lease: float) -> list[Webhook]:
        """Claim webhooks that are due, longest due first, for this many seconds.

        A claim counts as an attempt. A webhook not noted as delivered or failed within the time is due again.
        """
        # Read first: if nothing is due, writers do not have to wait.
        with self._database.read() as connection:
            if connection.execute(_due(time_now(connection), 1)).first() is None:
                return []
        with self._database.write() as connection:
            now = time_now(connection)
            query = _due(now, limit).with_for_update(of=webhooks, skip_locked=True)
            found = [_webhook(row) for row in connection.execute(query).mappings()]
            mine = webhooks.c.job_id.in_([webhook.job_id for webhook in found])
            claim = {"next_at": now + lease, "put_off_at": now, "attempts": webhooks.c.attempts + 1}
            connection.execute(update(webhooks).where(mine).values(claim))
            return [
                replace(one, next_at=now + lease, put_off_at=now, attempts=one.attempts + 1) for one in found
            ]

    def note_delivered(self, webhook: Webhook) -> None:
        """Note that a webhook was delivered, unless it was claimed again or the job runs again."""
        with self._database.write() as connection:
            connection.execute(_change(webhook, state=WebhookState.DELIVERED, last_error=""))

    def note_failed(self, webhook: Webhook, error: str, next_in: float | None) -> None:
        """Note why a webhook failed, and in how many seconds to retry; None gives it up.

        Changes nothing if it was claimed again or the job runs again.
        """
        with self._database.write() as connection:
            change: dict[str, Any] = {"last_error": error}
            if next_in is None:
                change["state"] = WebhookState.GIVEN_UP
            else:
                now = time_now(connection)
                change |= {"next_at": now + next_in, "put_off_at": now}
            connection.execute(_change(webhook, **change))


def add_webhook(connection: Connection, job_id: int, url: str, secret: str) -> None:
    """Add a webhook to a job within a transaction."""
    values = {"job_id": job_id, "url": url, "secret": secret, "state": WebhookState.PENDING}
    connection.execute(insert_new(connection, webhooks, "job_id"), values)


def tell_again(connection: Connection, job_id: int) -> None:
    """Reset the webhook of a job, if it has one, to be sent again when the job is over again."""
    afresh: dict[str, Any] = {"state": WebhookState.PENDING, "attempts": 0, "last_error": ""}
    afresh |= {"next_at": 0.0, "put_off_at": 0.0}
    connection.execute(update(webhooks).where(webhooks.c.job_id == job_id).values(afresh))


def _due(now: float, limit: int) -> Select[Any]:
    pending = webhooks.c.state == WebhookState.PENDING
    # What a clock that was ahead has put off would wait for as long as it was ahead.
    is_due = (webhooks.c.next_at <= now) | (webhooks.c.put_off_at > now + _SET_BACK)
    query = select(webhooks).join(jobs, jobs.c.id == webhooks.c.job_id)
    return query.where(pending, is_due, jobs.c.state.in_(_OVER)).order_by(webhooks.c.next_at).limit(limit)


def _change(webhook: Webhook, **values: object) -> Any:
    """Return an UPDATE of a webhook, if it is unchanged since it was claimed."""
    unchanged = (webhooks.c.state == WebhookState.PENDING) & (webhooks.c.next_at == webhook.next_at)
    return update(webhooks).where(webhooks.c.job_id == webhook.job_id, unchanged).values(values)


def _webhook(row: RowMapping) -> Webhook:
    return Webhook(**{**row, "state": WebhookState(row["state"])})
