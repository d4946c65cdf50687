"""The fetch boundary: from a reference to the bytes of its image."""

import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from shared.errors import Code, ItemError
from shared.items import Validators


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


Answer = Fetched | Redirected | NotModified


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask for: ``NotModified`` comes only if validators of what is known are given.

    ``sent`` is called when a request is on its way to a host; a file has none.
    """

    ref: str
    known: Validators | None = None
    sent: Callable[[], None] | None = None


class Fetcher(Protocol):
    """Fetches what a reference names."""

    async def fetch(self, request: Request) -> Answer:
        """Ask once, and return what came; this, or its ``read``, raises ``ItemError`` if nothing did."""
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...


class FileFetcher:
    """Reads local files, of a limited size."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    async def fetch(self, request: Request) -> Fetched:
        """See ``Fetcher``. The file is opened by ``read``, so that only files at work are in memory."""
        return Fetched(partial(self.read, Path(request.ref)))

    def read(self, path: Path) -> bytes:
        """Return the bytes of a file, or raise ``ItemError``."""
        try:
            return self._read(path)
        except (FileNotFoundError, NotADirectoryError):
            raise ItemError(Code.FILE_NOT_FOUND) from None
        except OSError as error:
            raise ItemError(Code.FILE_UNREADABLE, error.strerror or str(error)) from error

    def _read(self, path: Path) -> bytes:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            # A pipe or a device could block for ever.
            raise ItemError(Code.FILE_UNREADABLE, "not a regular file")
        if status.st_size > self._max_bytes:
            detail = f"{status.st_size} bytes, the limit is {self._max_bytes}"
            raise ItemError(Code.TOO_MANY_BYTES, detail)
        with path.open("rb", buffering=0) as file:
            return file.read(status.st_size)

    async def close(self) -> None:
        """See ``Fetcher``."""


class SchemeFetcher:
    """Chooses by what a reference looks like: a URL goes to one fetcher, a path to another."""

    def __init__(self, web: Fetcher, files: Fetcher) -> None:
        self._web = web
        self._files = files

    async def fetch(self, request: Request) -> Answer:
        """See ``Fetcher``."""
        return await (self._web if "://" in request.ref else self._files).fetch(request)

    async def close(self) -> None:
        """See ``Fetcher``."""
        await self._web.close()
        await self._files.close()
