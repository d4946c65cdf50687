"""Send one request, and hand its answer on as it arrives: the only place that knows the HTTP client."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import IO, TYPE_CHECKING

from api_client.failures import UnansweredError, not_ours
from api_client.origin import check_key, checked_origin, is_loopback

if TYPE_CHECKING:
    from httpx2 import Timeout

#: What is sent: opened anew for each attempt.
Body = Callable[[], AbstractContextManager[bytes | IO[bytes]]]


def no_body() -> AbstractContextManager[bytes | IO[bytes]]:
    """Open a body that holds nothing."""
    return nullcontext(b"")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    ``repeatable`` tells whether sending it twice comes to the same as sending it once, ``patience`` how many
    seconds the answer may take at least.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = no_body
    repeatable: bool = True
    patience: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back; names of headers are of any case, and the body has not been read yet."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


class Connection:
    """Keeps connections to one API, for several threads; ``timeout`` is for each step, in seconds."""

    def __init__(self, url: str, key: str, timeout: float) -> None:
        import httpx2  # it takes a while: only where it is needed

        self.origin = checked_origin(url)
        check_key(self.origin, key)
        headers = {"User-Agent": f"smartsight/{version('smartsight')}"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        self._timeout = timeout
        self._client = httpx2.Client(
            base_url=self.origin,
            headers=headers,
            follow_redirects=False,  # the key is meant for this origin alone
            trust_env=not is_loopback(self.origin),  # a proxy is no part of this machine
        )

    @contextmanager
    def answer(self, asked: Asked) -> Iterator[Answer]:
        """Send a request and give its answer; raise ``RequestError`` if there is none."""
        with self._translated(), asked.body() as content:
            streamed = self._client.stream(
                asked.method,
                asked.path,
                params=asked.query,
                headers=asked.headers,
                content=content,
                timeout=self._timeout_for(asked),
            )
            with streamed as response:
                yield Answer(response.status_code, response.headers, response.iter_bytes())

    def close(self) -> None:
        """End all connections."""
        self._client.close()

    def _timeout_for(self, asked: Asked) -> "Timeout":
        from httpx2 import Timeout

        return Timeout(self._timeout, read=max(self._timeout, asked.patience))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import httpx2

        try:
            yield
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise UnansweredError(self._what(error), sent=False) from error
        except httpx2.TransportError as error:
            raise UnansweredError(self._what(error), sent=True) from error
        except httpx2.DecodingError as error:
            raise not_ours(self._what(error)) from error

    def _what(self, error: Exception) -> str:
        return f"{self.origin}: {str(error) or type(error).__name__}"
