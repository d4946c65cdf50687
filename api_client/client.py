"""The client: one method for each operation of the API."""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Literal, Self, TypedDict, TypeVar, Unpack
from urllib.parse import quote

from api_client.connection import ApiRequest, ApiResponse, Connection, RetryPolicy
from api_client.responses import (
    ParsedResponse,
    parse,
    parse_response,
    parse_rows,
    raise_for_status,
    read_body,
)
from api_client.submissions import Image, SubmitOptions, encode_submission
from shared.errors import Code, ItemError, RequestError, ResourceError
from shared.estimate import Estimate
from shared.hosts import Host
from shared.job_status import JobStatus

T = TypeVar("T")

_JOBS, _HOSTS, _IMAGES = "/v1/jobs", "/v1/hosts", "/v1/images"
_JSON = {"Content-Type": "application/json"}
#: How long the API may work on a large list or job before it responds, in seconds.
_LONG = 600.0
#: Seconds between two polls where the API names none, and the fewest ever.
_POLL, _SHORTEST_POLL = 1.0, 0.1
#: Attempts of each poll after the first: more than a minute, so that an API may restart meanwhile.
_POLL_ATTEMPTS = 12
#: The header of a stream of results that tells whether the job is over.
_COMPLETE = "SmartSight-Complete"

Format = Literal["ndjson", "csv", "parquet"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """One class that an image may show, with a score from 0 to 1."""

    name: str
    wordnet_id: str
    score: float

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Prediction":
        """Parse the API's object."""
        return cls(str(data["class"]), str(data.get("wordnet_id") or ""), float(data["score"]))


class ResultFilters(TypedDict, total=False):
    """Which results: those that meet all conditions.

    ``class_`` is a class's id or a word of its name, ``min_score`` the least score of the best class,
    ``cursor`` that of the row after which to begin.
    """

    state: str
    code: str
    class_: str
    min_score: float
    host: str
    cursor: str


class Client:
    """A client of the API at a URL, with a key if the API requires one; safe for several threads.

    ``timeout`` is for each step of a request, such as connecting, in seconds. A request is sent ``attempts``
    times at most, where a retry may help and is harmless, with exponential backoff; ``sleep`` waits for it.
    """

    def __init__(
        self,
        url: str,
        key: str = "",
        timeout: float = 60.0,
        attempts: int = 5,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection = Connection(url, key, timeout)
        self._retries = RetryPolicy(attempts, sleep)

    def __repr__(self) -> str:
        return f"Client({self._connection.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._connection.close()

    def classify(self, image: bytes | Path | str, top: int = 5) -> list[Prediction]:
        """Return the best classes of an image, best first; the image is given as bytes, file or URL.

        Raises ``ItemError`` if the file cannot be read.
        """
        if isinstance(image, str):
            content, kind = json.dumps({"url": image}).encode(), "application/json"
        else:
            content, kind = _read_image(image), "application/octet-stream"
        headers = {"Content-Type": kind}
        request = ApiRequest("POST", "/v1/classify", {"top": str(top)}, headers, lambda: nullcontext(content))
        return parse(lambda data: list(map(Prediction.from_json, data)), self._send(request).data)

    def submit(
        self, images: Iterable[Image] | Path, *, idempotency_key: str = "", **options: Unpack[SubmitOptions]
    ) -> JobStatus:
        """Submit a job of URLs, or of the list file at a path, which is streamed.

        The same call with the same ``idempotency_key`` returns the same job. Without one a key is made, so
        that a submission whose response is lost can be repeated; it then reads a file from its beginning.
        """
        submission = encode_submission(images, options)
        headers = {**submission.headers, "Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        request = ApiRequest("POST", _JOBS, submission.query, headers, submission.body, read_timeout=_LONG)
        return _job_in(self._send(request))

    def estimate(
        self, images: Iterable[Image] | Path, *, sample: int = 200, **options: Unpack[SubmitOptions]
    ) -> Estimate:
        """Return what to expect of such a job, judged by a sample of so many images; no job is made."""
        submission = encode_submission(images, options)
        query = {**submission.query, "dry_run": "true", "sample": str(sample)}
        request = ApiRequest("POST", _JOBS, query, submission.headers, submission.body, read_timeout=_LONG)
        return parse(Estimate.from_json, self._send(request).data)

    def job(self, job_id: int) -> JobStatus:
        """Return the status of a job; raise ``RequestError(job_unknown)`` if there is none."""
        return _job_in(self._send(ApiRequest("GET", _path(job_id))))

    def jobs(self, *, limit: int | None = None, idempotency_key: str = "") -> Iterator[JobStatus]:
        """Yield jobs, newest first, requested in pages of ``limit``."""
        query = _query(limit=limit, idempotency_key=idempotency_key)
        return self._list(_JOBS, query, JobStatus.from_json)

    def wait(
        self, job_id: int, poll: float | None = None, on_change: Callable[[JobStatus], None] | None = None
    ) -> JobStatus:
        """Return a job when it is over or paused; call ``on_change`` after every change until then."""
        for job in self.follow(job_id, poll):
            if on_change:
                on_change(job)
        return job

    def follow(self, job_id: int, poll: float | None = None) -> Iterator[JobStatus]:
        """Yield the status of a job, and again after every change, until it is over or paused.

        Polls every ``poll`` seconds, or less often if the API says so.
        """
        tag = ""
        for number in count():
            headers = {"If-None-Match": tag} if tag else {}
            request = ApiRequest("GET", _path(job_id), headers=headers)
            response = self._send(request, _POLL_ATTEMPTS if number else None)
            if not response.is_not_modified:
                tag = response.headers.get("ETag", "")
                job = _job_in(response)
                yield job
                if job.is_settled:
                    return
            self._retries.sleep(max(poll or _POLL, response.retry_after or 0.0, _SHORTEST_POLL))

    def cancel(self, job_id: int) -> JobStatus:
        """Stop a job for good; its results are kept."""
        return self._change(job_id, "cancel", {})

    def resume(self, job_id: int, max_failure_rate: float | None = None) -> JobStatus:
        """Resume a paused job, with a new limit to its failures or none."""
        return self._change(job_id, "resume", {"max_failure_rate": max_failure_rate})

    def retry(self, job_id: int, codes: Sequence[str] = ()) -> JobStatus:
        """Try failures again: those with these codes, or all with a transient code.

        ``retried`` of the returned job says how many they are.
        """
        return self._change(job_id, "retry", {"codes": [str(code) for code in codes]} if codes else {})

    def give_up(self, job_id: int) -> JobStatus:
        """End the images that wait for another attempt, with their last error.

        ``given_up`` of the returned job says how many they are.
        """
        return self._change(job_id, "give-up", {})

    def delete(self, job_id: int) -> None:
        """Delete a job that is over, with its list and its results."""
        self._send(ApiRequest("DELETE", _path(job_id)))

    def results(self, job_id: int, **filters: Unpack[ResultFilters]) -> Iterator[dict[str, Any]]:
        """Yield the results of a job as they arrive, in the order of its list, each with its ``cursor``.

        After a broken connection it continues behind the last row: no row comes twice, none is missed.
        Raises ``RequestError``: ``job_changed`` if the job was over at first and is retried meanwhile,
        ``job_unknown`` if it was deleted.
        """
        query = {**_query(**filters), "format": "ndjson"}
        completeness, failures = _Completeness(job_id), 0
        while True:
            try:
                for row in self._rows(job_id, completeness, query):
                    query["cursor"], failures = row["cursor"], 0
                    yield row
                return
            except RequestError as error:
                failures += 1
                self._retries.pause(error, failures)

    def download(
        self, job_id: int, format: Format, file: str | Path, **filters: Unpack[ResultFilters]
    ) -> None:
        """Write the results of a job to a file, which appears when it is complete.

        Raises what ``results`` does, and ``ResourceError(output_unwritable)`` if the file cannot be written.
        """
        query = {**_query(**filters), "format": format}
        request = ApiRequest("GET", _path(job_id, "results"), query)
        target = Path(file)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            completeness = _Completeness(job_id)
            self._retries.run(lambda: self._save(completeness, request, part), idempotent=True)
            part.replace(target)
        except OSError as error:
            detail = f"{target}: {error.strerror or error}"
            raise ResourceError(Code.OUTPUT_UNWRITABLE, detail) from error
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def summary(self, job_id: int, top: int = 20) -> dict[str, Any]:
        """Return the counts of a job's results by class, code and host, ``top`` rows of each."""
        request = ApiRequest("GET", _path(job_id, "summary"), _query(top=top), read_timeout=_LONG)
        return parse(dict, self._send(request).data)

    def report(self, job_id: int) -> dict[str, Any]:
        """Return the report of a job, as `smartsight report` writes it as JSON."""
        request = ApiRequest("GET", _path(job_id, "report"), {"format": "json"}, read_timeout=_LONG)
        return parse(dict, self._send(request).data)

    def report_page(self, job_id: int) -> str:
        """Return the report of a job as an HTML page."""
        query = {"format": "html"}
        request = ApiRequest("GET", _path(job_id, "report"), query, read_timeout=_LONG)
        return self._retries.run(lambda: self._text(request), idempotent=True)

    def hosts(self, *, limit: int | None = None) -> Iterator[Host]:
        """Yield the hosts that workers have called, by name, requested in pages of ``limit``."""
        return self._list(_HOSTS, _query(limit=limit), Host.from_json)

    def block_host(self, host: str) -> Host:
        """Stop all requests to a host, within seconds; return it as it is now."""
        return self._set_host(host, "block")

    def release_host(self, host: str) -> Host:
        """Allow requests to a host again, and forget its failures; return it as it is now."""
        return self._set_host(host, "release")

    def image(self, *, url: str = "", sha256: str = "") -> Iterator[dict[str, Any]]:
        """Yield the results of an image in all jobs, newest first, by its URL or the SHA-256 of its file.

        Raises ``RequestError(image_unknown)`` if no job has it.
        """
        return self._list(_IMAGES, _query(url=url, sha256=sha256), dict)

    def forget(self, *, url: str = "", sha256: str = "") -> dict[str, Any]:
        """Delete all data of an image and never fetch it again; return what was deleted."""
        request = ApiRequest("DELETE", _IMAGES, _query(url=url, sha256=sha256), read_timeout=_LONG)
        return parse(dict, self._send(request).data)

    def _send(self, request: ApiRequest, attempts: int | None = None) -> ParsedResponse:
        return self._retries.run(lambda: self._send_once(request), request.idempotent, attempts)

    def _send_once(self, request: ApiRequest) -> ParsedResponse:
        with self._connection.send(request) as response:
            return parse_response(response)

    def _text(self, request: ApiRequest) -> str:
        with self._connection.send(request) as response:
            return read_body(raise_for_status(response)).decode()

    def _list(self, path: str, query: Mapping[str, str], read: Callable[[Any], T]) -> Iterator[T]:
        """Yield the entries of a list, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = self._send(ApiRequest("GET", path, {**query, **_query(cursor=cursor)}))
            yield from parse(lambda page: list(map(read, page.data)), page)
            cursor = page.meta.get("next_cursor")

    def _change(self, job_id: int, action: str, values: Mapping[str, Any]) -> JobStatus:
        body = json.dumps({name: value for name, value in values.items() if value is not None}).encode()
        return _job_in(self._post(_path(job_id, action), body))

    def _set_host(self, host: str, action: str) -> Host:
        return parse(Host.from_json, self._post(f"{_HOSTS}/{quote(host, safe='')}/{action}", b"{}").data)

    def _post(self, path: str, body: bytes) -> ParsedResponse:
        """Send a request that must not be repeated if it may have arrived."""
        content = lambda: nullcontext(body)  # noqa: E731
        return self._send(ApiRequest("POST", path, {}, _JSON, content, idempotent=False, read_timeout=_LONG))

    def _rows(
        self, job_id: int, completeness: "_Completeness", query: Mapping[str, str]
    ) -> Iterator[dict[str, Any]]:
        with self._connection.send(ApiRequest("GET", _path(job_id, "results"), query)) as response:
            yield from parse_rows(completeness.check(response))

    def _save(self, completeness: "_Completeness", request: ApiRequest, part: Path) -> None:
        with self._connection.send(request) as response:
            chunks = completeness.check(response).chunks
            with part.open("wb") as stream:
                for chunk in chunks:
                    stream.write(chunk)


class _Completeness:
    """Whether the attempts of one call found the job over: once it is, it has to stay so."""

    def __init__(self, job_id: int) -> None:
        self._job_id = job_id
        self._was_over = False

    def check(self, response: ApiResponse) -> ApiResponse:
        """Return a successful response; raise ``RequestError(job_changed)`` if the job is no longer over."""
        is_over = raise_for_status(response).headers.get(_COMPLETE) == "true"
        if self._was_over and not is_over:
            raise RequestError(Code.JOB_CHANGED, f"job {self._job_id}")
        self._was_over = is_over
        return response


def _job_in(response: ParsedResponse) -> JobStatus:
    return parse(JobStatus.from_json, response.data)


def _path(job_id: int, part: str = "") -> str:
    return f"{_JOBS}/{job_id}" + (f"/{part}" if part else "")


def _query(**values: object) -> dict[str, str]:
    """Return the query parameters that are given; ``class_`` becomes ``class``."""
    return {name.rstrip("_"): str(value) for name, value in values.items() if value not in (None, "")}


def _read_image(image: bytes | Path) -> bytes:
    if isinstance(image, bytes):
        return image
    try:
        return image.read_bytes()
    except FileNotFoundError as error:
        raise ItemError(Code.FILE_NOT_FOUND, str(image)) from error
    except OSError as error:
        raise ItemError(Code.FILE_UNREADABLE, f"{image}: {error.strerror}") from error
