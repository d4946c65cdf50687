"""The body of a submission: URLs as JSON, or a list file as it is."""

import json
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, TypedDict

from api_client.connection import Body
from shared.errors import Code, ResourceError, UsageError
from shared.list_formats import ENCODINGS, KNOWN, advice, format_of

#: A URL, or a URL and an id of your own, which its result returns as ``custom_id``.
Image = str | tuple[str, str | int]


class SubmitOptions(TypedDict, total=False):
    """Options of a submission.

    ``column`` and ``id_column`` name columns of a list file.
    """

    name: str
    model: str
    column: str
    id_column: str
    max_failure_rate: float
    priority: Literal["low", "normal", "high"]
    webhook_url: str
    webhook_secret: str


@dataclass(frozen=True, slots=True)
class EncodedSubmission:
    """A submission as it is sent; each attempt reads the body anew."""

    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Body


def encode_submission(images: Iterable[Image] | Path, options: SubmitOptions) -> EncodedSubmission:
    """Encode URLs, or the list file at a path.

    A file is opened when it is sent, which may raise ``UsageError(source_not_found)`` or
    ``ResourceError(source_unreadable)``.
    """
    if isinstance(images, Path):
        return _of_file(images, options)
    if isinstance(images, str):
        raise TypeError("say [URL] for one URL, or Path(...) for a list file")
    return _of_urls(images, options)


def _of_urls(images: Iterable[Image], options: SubmitOptions) -> EncodedSubmission:
    urls = [image if isinstance(image, str) else {"url": image[0], "id": image[1]} for image in images]
    body: dict[str, Any] = {name: value for name, value in options.items() if "webhook" not in name}
    if "webhook_url" in options:
        body["webhook"] = {"url": options["webhook_url"]}
        if "webhook_secret" in options:
            body["webhook"]["secret"] = options["webhook_secret"]
    content = json.dumps({**body, "urls": urls}).encode()
    return EncodedSubmission({}, {"Content-Type": "application/json"}, lambda: nullcontext(content))


def _of_file(path: Path, options: SubmitOptions) -> EncodedSubmission:
    headers = _type_of(path)
    query = {name: str(value) for name, value in options.items() if name != "webhook_secret"}
    if "webhook_secret" in options:  # not in the URL, which is logged
        headers["SmartSight-Webhook-Secret"] = options["webhook_secret"]
    return EncodedSubmission(query, headers, lambda: _opened(path))


def _type_of(path: Path) -> dict[str, str]:
    listed = format_of(path.name)
    if listed is None:
        advised = advice(path.name)
        what = (
            f"it is {advised}. Lists that are read"
            if advised
            else "its ending is none of those that are read"
        )
        raise UsageError(Code.SOURCE_UNREADABLE, f"{path}: {what}: {KNOWN}")
    packed = {"Content-Encoding": ENCODINGS[listed.packing]} if listed.packing else {}
    return {"Content-Type": listed.media_type, **packed}


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError("it is no regular file, and may have to be read twice")
        file = path.open("rb")
    except FileNotFoundError as error:
        raise UsageError(Code.SOURCE_NOT_FOUND, str(path)) from error
    except OSError as error:
        detail = f"{path}: {error.strerror or error}"
        raise ResourceError(Code.SOURCE_UNREADABLE, detail) from error
    with file:
        yield file
