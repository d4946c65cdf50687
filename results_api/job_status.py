"""How a job stands, as whoever asks for it sees it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from results_api.entity_tags import entity_tag
from shared.items import ItemState, JobState
from shared.store.store import Job, MalformedLine, RecordedModel, Tally, Webhook
from shared.store.summaries import in_utc

#: Seconds until a poller should ask again, at least and at most.
_SOONEST, _LATEST = 1, 60
#: A poller asks about so often until a job's end.
_LOOKS = 20
#: What people call priorities.
PRIORITIES = {"low": -1, "normal": 0, "high": 1}
_PRIORITY_NAMES = {number: name for name, number in PRIORITIES.items()}


@dataclass(frozen=True, slots=True)
class Standing:
    """All that is told of a job."""

    job: Job
    model: RecordedModel
    tallies: Sequence[Tally]
    malformed: Sequence[MalformedLine] = ()
    webhook: Webhook | None = None

    @property
    def done(self) -> int:
        """How many items have a result."""
        return sum(tally.count for tally in self.tallies)

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at the present rate, if that can be said."""
        left = self.job.submitted - self.done
        if not (self.job.is_running and self.job.rate):
            return None
        return round(left / self.job.rate, 1)


def as_json(standing: Standing) -> dict[str, Any]:
    """Return how a job stands as a JSON object; times are in UTC, durations in seconds."""
    job = standing.job
    return {
        "id": job.id,
        "name": job.name,
        "state": str(job.state),
        "reason": job.reason,
        "model": f"{standing.model.name}@{standing.model.version}",
        "priority": _PRIORITY_NAMES.get(job.priority, str(job.priority)),
        "created_at": _moment(job.created_at),
        "finished_at": _moment(job.finished_at),
        "submitted": job.submitted,
        "recorded": job.sealed,
        "done": standing.done,
        "counts": _counts(standing),
        "codes": _codes(standing.tallies),
        "rate": job.rate if job.rate is None else round(job.rate, 3),
        "seconds_left": standing.seconds_left,
        "max_failure_rate": job.max_failure_rate,
        "malformed": _malformed(standing),
        "webhook": _webhook(standing.webhook),
        "links": links_of(job.id),
    }


def links_of(job_id: int) -> dict[str, str]:
    """Return where else there is something to learn of a job."""
    home = f"/v1/jobs/{job_id}"
    return {"self": home} | {name: f"{home}/{name}" for name in ("results", "summary", "events")}


def tag_of(body: dict[str, Any]) -> str:
    """Return the entity tag of what is told of a job: another one as soon as anything is different."""
    return entity_tag(orjson.dumps(body))


def poll_after(standing: Standing) -> int | None:
    """Return in how many seconds it is worth to ask again, or None if nothing will change by itself."""
    if standing.job.state.is_over or standing.job.state is JobState.PAUSED:
        return None
    left = standing.seconds_left
    return _SOONEST if left is None else round(min(_LATEST, max(_SOONEST, left / _LOOKS)))


def _moment(time: datetime | None) -> str | None:
    return None if time is None else in_utc(time).strftime("%Y-%m-%dT%H:%M:%SZ")


def _counts(standing: Standing) -> dict[str, int]:
    counts = dict.fromkeys(map(str, ItemState), 0)
    counts["pending"] = max(0, standing.job.submitted - standing.done)
    for tally in standing.tallies:
        counts[tally.state] += tally.count
    return counts


def _codes(tallies: Sequence[Tally]) -> list[dict[str, Any]]:
    with_code = sorted(
        (tally for tally in tallies if tally.code), key=lambda tally: (-tally.count, tally.code or "")
    )
    return [
        {"code": tally.code, "state": tally.state, "count": tally.count, "message": tally.code.sentence}
        for tally in with_code
        if tally.code
    ]


def _malformed(standing: Standing) -> dict[str, Any]:
    lines = [{"line": one.line, "lines": one.lines, "reason": one.reason} for one in standing.malformed]
    return {"count": standing.job.malformed, "lines": lines}


def _webhook(webhook: Webhook | None) -> dict[str, Any] | None:
    """Return what is told of a webhook; its secret is not."""
    if webhook is None:
        return None
    return {
        "url": webhook.url,
        "state": webhook.state,
        "attempts": webhook.attempts,
        "last_error": webhook.last_error,
    }
