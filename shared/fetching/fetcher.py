"""The fetch boundary: from a reference to the bytes of its image."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from shared.errors import Code, ItemError
from shared.items import Validators
from shared.warc import is_warc_reference


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a reference led to; where it came by HTTP, the URL, status and validators of the answer.

    ``read`` returns the bytes of the image file. It may touch a disk: call it off the event loop.
    """

    read: Callable[[], bytes]
    final_url: str | None = None
    http_status: int | None = None
    validators: Validators | None = None


@dataclass(frozen=True, slots=True)
class Redirected:
    """The host sends us to another URL, which may be asked for."""

    url: str


@dataclass(frozen=True, slots=True)
class NotModified:
    """What the validators stand for is still what the URL leads to."""

    final_url: str


FetchResponse = Fetched | Redirected | NotModified


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What to ask for: ``NotModified`` comes only if validators of what is known are given.

    ``sent`` is called when a request is on its way to a host; a file has none.
    """

    ref: str
    known: Validators | None = None
    sent: Callable[[], None] | None = None


class Fetcher(Protocol):
    """Fetches what a reference names."""

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        """Ask once, and return what came; this, or its ``read``, raises ``ItemError`` if nothing did."""
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...


class FileFetcher:
    """Reads local files, of a limited size."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    async def fetch(self, request: FetchRequest) -> Fetched:
        """See ``Fetcher``. The file is opened by ``read``, so that only files at work are in memory."""
        return Fetched(partial(self.read, Path(request.ref)))

    def read(self, path: Path) -> bytes:
        """Return the bytes of a file, or raise ``ItemError``."""
        with file_errors():
            size = regular_status(path).st_size
            if size > self._max_bytes:
                raise ItemError(Code.TOO_MANY_BYTES, f"{size} bytes, the limit is {self._max_bytes}")
            with path.open("rb", buffering=0) as file:
                return file.read(size)

    async def close(self) -> None:
        """See ``Fetcher``."""


@contextmanager
def file_errors() -> Iterator[None]:
    """Turn what the file system says into our errors."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise ItemError(Code.FILE_NOT_FOUND) from None
    except OSError as error:
        raise ItemError(Code.FILE_UNREADABLE, error.strerror or str(error)) from error


def regular_status(path: Path) -> os.stat_result:
    """Return the status of a regular file: a pipe or a device, which could block for ever, is refused."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ItemError(Code.FILE_UNREADABLE, "not a regular file")
    return status


class SchemeFetcher:
    """Chooses by what a reference looks like: a URL, a path, or a record of a WARC file."""

    def __init__(self, web: Fetcher, files: Fetcher, records: Fetcher) -> None:
        self._web = web
        self._files = files
        self._records = records

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        """See ``Fetcher``."""
        return await self._fetcher_for(request.ref).fetch(request)

    def _fetcher_for(self, ref: str) -> Fetcher:
        if is_warc_reference(ref):  # asked first: it holds the URI of what was crawled
            return self._records
        return self._web if "://" in ref else self._files

    async def close(self) -> None:
        """See ``Fetcher``."""
        await self._web.close()
        await self._files.close()
        await self._records.close()
