"""The fetch boundary: from an image reference to the bytes of the image."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from shared.errors import Code, ItemError
from shared.hosts import is_unfetched_url
from shared.items import Validators
from shared.warc import is_warc_reference


@dataclass(frozen=True, slots=True)
class Fetched:
    """A fetched image; if it came by HTTP, with the URL, status and validators of the response.

    ``read`` returns the bytes of the image file. It may read a disk: do not call it in the event loop.
    """

    read: Callable[[], bytes]
    final_url: str | None = None
    http_status: int | None = None
    validators: Validators | None = None


@dataclass(frozen=True, slots=True)
class Redirected:
    """The host redirects to another URL, which is allowed."""

    url: str


@dataclass(frozen=True, slots=True)
class NotModified:
    """The content is the one of the validators (304)."""

    final_url: str


FetchResponse = Fetched | Redirected | NotModified


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """A request; ``NotModified`` is possible only if validators are given.

    ``sent`` is called when the request has been sent to a host; never for files.
    """

    ref: str
    known: Validators | None = None
    sent: Callable[[], None] | None = None


class Fetcher(Protocol):
    """Fetches image references."""

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        """Make one request and return the outcome; this, or its ``read``, raises ``ItemError`` on failure."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class FileFetcher:
    """Reads local files, of a limited size."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    async def fetch(self, request: FetchRequest) -> Fetched:
        """Return a file, which ``read`` opens: only files in progress are in memory."""
        return Fetched(partial(self.read, Path(request.ref)))

    def read(self, path: Path) -> bytes:
        """Return the bytes of a file, or raise ``ItemError``."""
        if is_forbidden_url(str(path)):
            raise ItemError(Code.URL_NOT_ALLOWED)
        with file_errors():
            size = regular_status(path).st_size
            if size > self._max_bytes:
                raise ItemError(Code.TOO_MANY_BYTES, f"{size} bytes, the limit is {self._max_bytes}")
            with path.open("rb", buffering=0) as file:
                return file.read(size)

    async def close(self) -> None:
        """Do nothing: there are no connections."""


def is_forbidden_url(ref: str) -> bool:
    """Tell whether a reference is a URL that is never fetched, and not the name of a file."""
    # Path.exists raises on a name that is too long, as that of a picture in a data URL is.
    return is_unfetched_url(ref) and not os.path.exists(ref)  # noqa: PTH110


@contextmanager
def file_errors() -> Iterator[None]:
    """Translate errors of the file system."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise ItemError(Code.FILE_NOT_FOUND) from None
    except OSError as error:
        raise ItemError(Code.FILE_UNREADABLE, error.strerror or str(error)) from error


def regular_status(path: Path) -> os.stat_result:
    """Return the status of a regular file; refuse pipes and devices, which could block for ever."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ItemError(Code.FILE_UNREADABLE, "not a regular file")
    return status


class SchemeFetcher:
    """Chooses a fetcher by the form of the reference: a URL, a path, or a record of a WARC file."""

    def __init__(self, web: Fetcher, files: Fetcher, records: Fetcher) -> None:
        self._web = web
        self._files = files
        self._records = records

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        """Fetch with the fetcher for the form of the reference."""
        return await self._fetcher_for(request.ref).fetch(request)

    def _fetcher_for(self, ref: str) -> Fetcher:
        if is_warc_reference(ref):  # checked first: such a reference contains a URL
            return self._records
        return self._web if "://" in ref else self._files

    async def close(self) -> None:
        """Close all fetchers."""
        await self._web.close()
        await self._files.close()
        await self._records.close()
