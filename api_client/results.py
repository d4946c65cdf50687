"""The calls that read what jobs came to, and what is known of images."""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from api_client.answers import checked, rows_of, understood
from api_client.calls import LONG, Calls, query_of
from api_client.connection import Answer, Asked
from shared.errors import Code, RequestError, ResourceError

_IMAGES = "/v1/images"
#: Tells of a stream of results whether the job is over.
_COMPLETE = "SmartSight-Complete"
Format = Literal["ndjson", "csv", "parquet"]


class Filters(TypedDict, total=False):
    """Which results are wanted: those to which all of this applies.

    ``class_`` is a class's id or a word of its name, ``min_score`` the least score of the best class, and
    ``cursor`` that of a row, after which to begin.
    """

    state: str
    code: str
    class_: str
    min_score: float
    host: str
    cursor: str


class ResultCalls(Calls):
    """The calls on results."""

    def results(self, job_id: int, **filters: Unpack[Filters]) -> Iterator[dict[str, Any]]:
        """Yield the results of a job as they arrive, in the order of its list, each with its ``cursor``.

        Where the connection breaks, a new one goes on behind the last row: none comes twice, none is missed.
        Raises ``RequestError``: ``job_changed`` if the job was over at first, and is tried again meanwhile,
        ``job_unknown`` if it was deleted.
        """
        query = {**query_of(**filters), "format": "ndjson"}
        course, failures = _Course(job_id), 0
        while True:
            try:
                for row in self._rows(course, query):
                    query["cursor"], failures = row["cursor"], 0
                    yield row
                return
            except RequestError as error:
                failures += 1
                self._retries.pause(error, failures)

    def download(self, job_id: int, format: Format, file: str | Path, **filters: Unpack[Filters]) -> None:
        """Write the results of a job to a file, which appears when it is complete.

        Raises what ``results`` does, and ``ResourceError(output_unwritable)`` if the file cannot be written.
        """
        asked = Asked("GET", _path(job_id, "results"), {**query_of(**filters), "format": format})
        target = Path(file)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            course = _Course(job_id)
            self._retries.run(lambda: self._save(course, asked, part), repeatable=True)
            part.replace(target)
        except OSError as error:
            detail = f"{target}: {error.strerror or error}"
            raise ResourceError(Code.OUTPUT_UNWRITABLE, detail) from error
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def summary(self, job_id: int, top: int = 20) -> dict[str, Any]:
        """Return how the results of a job are spread over classes, codes and hosts, so many rows of each."""
        asked = Asked("GET", _path(job_id, "summary"), query_of(top=top), patience=LONG)
        return understood(dict, self._ask(asked).data)

    def image(self, *, url: str = "", sha256: str = "") -> Iterator[dict[str, Any]]:
        """Yield what an image came to in all jobs, newest first, by its URL or by the SHA-256 of its file.

        Raises ``RequestError(image_unknown)`` if it was in none.
        """
        return self._listed(_IMAGES, query_of(url=url, sha256=sha256), dict)

    def forget(self, *, url: str = "", sha256: str = "") -> dict[str, Any]:
        """Let an image be forgotten, and never be fetched again; return what that came to."""
        asked = Asked("DELETE", _IMAGES, query_of(url=url, sha256=sha256), patience=LONG)
        return understood(dict, self._ask(asked).data)

    def _rows(self, course: "_Course", query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        with self._connection.answer(Asked("GET", _path(course.job_id, "results"), query)) as answer:
            yield from rows_of(course.followed(answer))

    def _save(self, course: "_Course", asked: Asked, part: Path) -> None:
        with self._connection.answer(asked) as answer:
            chunks = course.followed(answer).chunks
            with part.open("wb") as stream:
                for chunk in chunks:
                    stream.write(chunk)


class _Course:
    """What the attempts of one call are told of a job: once it is over, it has to stay so."""

    def __init__(self, job_id: int) -> None:
        self.job_id = job_id
        self._was_over = False

    def followed(self, answer: Answer) -> Answer:
        """Return an answer that is a success, and does not take back what one before it said."""
        is_over = checked(answer).headers.get(_COMPLETE) == "true"
        if self._was_over and not is_over:
            raise RequestError(Code.JOB_CHANGED, f"job {self.job_id}")
        self._was_over = is_over
        return answer


def _path(job_id: int, what: str) -> str:
    return f"/v1/jobs/{job_id}/{what}"
