"""Everything that can be asked of one API."""

import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Self

from api_client.answers import understood
from api_client.connection import Asked, Connection
from api_client.jobs import JobCalls
from api_client.models import Prediction
from api_client.results import ResultCalls
from api_client.retrying import Retries
from shared.errors import Code, ItemError


class Client(JobCalls, ResultCalls):
    """The API at a URL, asked with a key where it wants one; safe to use from several threads.

    ``timeout`` is how many seconds each step of a call may take, such as connecting. A call is made
    ``attempts`` times at most where another try may help and does no harm, with growing pauses, for which
    ``sleep`` waits.
    """

    def __init__(
        self,
        url: str,
        key: str = "",
        timeout: float = 60.0,
        attempts: int = 5,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(Connection(url, key, timeout), Retries(attempts, sleep))

    def __repr__(self) -> str:
        return f"Client({self._connection.origin!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all connections."""
        self._connection.close()

    def classify(self, image: bytes | Path | str, top: int = 5) -> list[Prediction]:
        """Return the best classes of an image, best first; it is given by its bytes, file or URL.

        Raises ``ItemError`` if the file cannot be read.
        """
        if isinstance(image, str):
            content, kind = json.dumps({"url": image}).encode(), "application/json"
        else:
            content, kind = _content(image), "application/octet-stream"
        headers = {"Content-Type": kind}
        asked = Asked("POST", "/v1/classify", {"top": str(top)}, headers, lambda: nullcontext(content))
        return understood(lambda data: [Prediction.of(entry) for entry in data], self._ask(asked).data)


def _content(image: bytes | Path) -> bytes:
    if isinstance(image, bytes):
        return image
    try:
        return image.read_bytes()
    except FileNotFoundError as error:
        raise ItemError(Code.FILE_NOT_FOUND, str(image)) from error
    except OSError as error:
        raise ItemError(Code.FILE_UNREADABLE, f"{image}: {error.strerror}") from error
