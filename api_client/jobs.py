"""The calls that make jobs, follow them and steer them."""

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from typing import Any, Unpack

from api_client.answers import Reply, understood
from api_client.calls import LONG, Calls, query_of
from api_client.connection import Asked
from api_client.models import Estimate, Job
from api_client.submissions import Listed, Options, submission_of

_PATH = "/v1/jobs"
_JSON = {"Content-Type": "application/json"}
#: Seconds between two looks at a job where the API names none, and the fewest ever.
_POLL = 1.0
_SHORTEST = 0.1
#: Whoever has followed a job for hours does not give up within seconds: more than a minute of attempts.
_PATIENT = 12


class JobCalls(Calls):
    """The calls on jobs."""

    def submit(
        self, images: Iterable[Listed] | Path, *, idempotency_key: str = "", **options: Unpack[Options]
    ) -> Job:
        """Make a job of URLs, or of the list file at a path, which is streamed; return it as it begins.

        The same call with the same ``idempotency_key`` returns the same job. Without one a key is made, so
        that an attempt whose answer is lost can be repeated; a file is then read again from its beginning.
        """
        asked = submission_of(images, options)
        headers = {**asked.headers, "Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        return _job(self._ask(Asked("POST", _PATH, asked.query, headers, asked.body, patience=LONG)))

    def estimate(
        self, images: Iterable[Listed] | Path, *, sample: int = 200, **options: Unpack[Options]
    ) -> Estimate:
        """Return what to expect of such a job, judged by so many of its images; no job is made."""
        asked = submission_of(images, options)
        query = {**asked.query, "dry_run": "true", "sample": str(sample)}
        reply = self._ask(Asked("POST", _PATH, query, asked.headers, asked.body, patience=LONG))
        return understood(Estimate.of, reply.data)

    def job(self, job_id: int) -> Job:
        """Return a job as it stands; raise ``RequestError(job_unknown)`` if there is none."""
        return _job(self._ask(Asked("GET", f"{_PATH}/{job_id}")))

    def jobs(self, *, limit: int | None = None, idempotency_key: str = "") -> Iterator[Job]:
        """Yield jobs, newest first, asking for so many at a time."""
        query = query_of(limit=limit, idempotency_key=idempotency_key)
        return self._listed(_PATH, query, Job.of)

    def wait(
        self, job_id: int, poll: float | None = None, on_change: Callable[[Job], None] | None = None
    ) -> Job:
        """Return a job when it is over or paused; call ``on_change`` whenever it has moved on meanwhile."""
        for job in self.follow(job_id, poll):
            if on_change:
                on_change(job)
        return job

    def follow(self, job_id: int, poll: float | None = None) -> Iterator[Job]:
        """Yield a job as it stands, and again whenever that has changed, until it is over or paused.

        Looks every ``poll`` seconds, or less often if the API asks for that.
        """
        tag = ""
        for look in count():
            headers = {"If-None-Match": tag} if tag else {}
            reply = self._ask(Asked("GET", f"{_PATH}/{job_id}", headers=headers), _PATIENT if look else None)
            if not reply.is_unchanged:
                tag = reply.headers.get("ETag", "")
                job = _job(reply)
                yield job
                if job.is_settled:
                    return
            self._retries.sleep(max(poll or _POLL, reply.retry_after or 0.0, _SHORTEST))

    def cancel(self, job_id: int) -> Job:
        """Stop a job for good; what was done stays."""
        return self._steer(job_id, "cancel", {})

    def resume(self, job_id: int, max_failure_rate: float | None = None) -> Job:
        """Go on with a paused job, under a new failure budget or none."""
        return self._steer(job_id, "resume", {"max_failure_rate": max_failure_rate})

    def retry(self, job_id: int, codes: Sequence[str] = ()) -> Job:
        """Run what failed once more: with these codes, or all whose cause may have passed.

        ``retried`` of the job says how many that are.
        """
        return self._steer(job_id, "retry", {"codes": [str(code) for code in codes]} if codes else {})

    def delete(self, job_id: int) -> None:
        """Remove a job, with its results."""
        self._ask(Asked("DELETE", f"{_PATH}/{job_id}"))

    def _steer(self, job_id: int, what: str, asked: Mapping[str, Any]) -> Job:
        body = json.dumps({name: value for name, value in asked.items() if value is not None}).encode()
        path = f"{_PATH}/{job_id}/{what}"
        return _job(self._ask(Asked("POST", path, {}, _JSON, lambda: nullcontext(body), False, LONG)))


def _job(reply: Reply) -> Job:
    return understood(Job.of, reply.data)
