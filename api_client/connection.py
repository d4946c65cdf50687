"""Send requests to an API: its origin and key, one HTTP exchange, its errors, and retries with backoff."""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib.metadata import version
from ipaddress import ip_address
from itertools import islice
from typing import IO, TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from shared.errors import Code, RequestError, UsageError
from shared.server_urls import ESCAPES
from shared.setting_kinds import PATH_PREFIX

if TYPE_CHECKING:
    from httpx2 import Timeout

T = TypeVar("T")

#: Opens the content to send, anew for each attempt.
Body = Callable[[], AbstractContextManager[bytes | IO[bytes]]]
#: The longest pause after the first failure, in seconds; it doubles with each further one, up to a maximum.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
#: A longer ``Retry-After``, in seconds, is reported instead of waited for.
_LONGEST_RETRY_AFTER = 300.0
#: Answered without a key, in fewer bytes than these.
_LIVENESS, _LIVENESS_BYTES = "/livez", 4096
#: Statuses of requests that had no effect: they did not arrive as a whole, or came too soon.
_NO_EFFECT = (408, 429)


class UnansweredError(RequestError):
    """There is no complete response; ``sent`` tells whether the request may have arrived."""

    def __init__(self, detail: str, sent: bool, retry_after: float | None = None) -> None:
        super().__init__(Code.API_UNAVAILABLE, detail, retry_after)
        self.sent = sent


class RefusedError(RequestError):
    """The response is a failure, with this HTTP status."""

    def __init__(self, code: Code, detail: str, status: int, retry_after: float | None = None) -> None:
        super().__init__(code, detail, retry_after)
        self.status = status


def not_ours(what: str, status: int = 200) -> RefusedError:
    """Return the error for a response that this API does not give."""
    return RefusedError(Code.API_REFUSED, what, status)


def no_body() -> AbstractContextManager[bytes | IO[bytes]]:
    """Open an empty body."""
    return nullcontext(b"")


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One request.

    ``idempotent`` tells whether sending it twice has the same effect as sending it once; ``read_timeout`` is
    for how many seconds to wait for the response at least.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = no_body
    idempotent: bool = True
    read_timeout: float = 0.0


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A response whose body arrives in chunks; header names are case-insensitive."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


class Connection:
    """Connections to one API, safe for several threads; ``timeout`` is for each step, in seconds."""

    def __init__(self, url: str, key: str, timeout: float) -> None:
        import httpx2  # slow to import

        self.base_url = checked_base_url(url)
        check_key(self.base_url, key)
        is_local = is_loopback(self.base_url)
        headers = {"User-Agent": f"smartsight/{version('smartsight')}"}
        if is_local:  # nothing is gained by compressing
            headers["Accept-Encoding"] = "identity"
        self._key = key
        # Whether the key may be sent: a URL with a path may be that of an image, given by mistake.
        self._is_known = not urlsplit(self.base_url).path
        self._timeout = timeout
        with _proxy_errors():
            self._client = httpx2.Client(
                base_url=self.base_url,
                headers=headers,
                follow_redirects=False,  # the key is for this address only
                trust_env=not is_local,  # a proxy would leave this machine
            )

    @contextmanager
    def send(self, request: ApiRequest) -> Iterator[ApiResponse]:
        """Send a request and give its response; raise ``RequestError`` if there is none."""
        with self._translated(), request.body() as content:
            streamed = self._client.stream(
                request.method,
                request.path,
                params=request.query,
                headers={**request.headers, **self._authorization()},
                content=content,
                timeout=self._timeout_for(request),
            )
            with streamed as response:
                yield ApiResponse(response.status_code, response.headers, response.iter_bytes())

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _authorization(self) -> dict[str, str]:
        """Return the header with the key, once it is certain that an API is at this URL."""
        if not self._key:
            return {}
        if not self._is_known:
            with self._client.stream("GET", _LIVENESS, timeout=self._timeout) as response:
                content = b"".join(islice(response.iter_bytes(_LIVENESS_BYTES), 1))
            if not _is_alive(response.status_code, content):
                raise not_ours(f"{self.base_url}: no API is at this path", response.status_code)
            self._is_known = True
        return {"Authorization": f"Bearer {self._key}"}

    def _timeout_for(self, request: ApiRequest) -> "Timeout":
        from httpx2 import Timeout

        return Timeout(self._timeout, read=max(self._timeout, request.read_timeout))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import httpx2

        try:
            yield
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise UnansweredError(self._describe(error), sent=False) from error
        except httpx2.TransportError as error:
            raise UnansweredError(self._describe(error), sent=True) from error
        except httpx2.DecodingError as error:
            raise not_ours(self._describe(error)) from error

    def _describe(self, error: Exception) -> str:
        return f"{self.base_url}: {str(error) or type(error).__name__}"


@contextmanager
def _proxy_errors() -> Iterator[None]:
    """Raise ``UsageError(setting_invalid)`` for a proxy that cannot be used; errors may hold its password."""
    import httpx2

    try:
        yield
    except (httpx2.InvalidURL, ValueError, ImportError):
        detail = "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY is not http://USER:PASSWORD@HOST:PORT; " + ESCAPES
        raise UsageError(Code.SETTING_INVALID, detail) from None


class RetryPolicy:
    """Makes ``attempts`` attempts at most; ``sleep`` waits for a number of seconds."""

    def __init__(self, attempts: int, sleep: Callable[[float], None]) -> None:
        self.attempts = attempts
        self.sleep = sleep

    def run(self, attempt: Callable[[], T], idempotent: bool, attempts: int | None = None) -> T:
        """Return what the first successful attempt returns; raise the last error if none succeeds."""
        failures = 0
        while True:
            try:
                return attempt()
            except RequestError as error:
                failures += 1
                self.pause(error, failures, idempotent, attempts)

    def pause(
        self, error: RequestError, failures: int, idempotent: bool = True, attempts: int | None = None
    ) -> None:
        """Wait before the next attempt, or raise the error if there should be none.

        Exponential backoff with full jitter (Brooker, 2015), after the API's ``Retry-After``.
        """
        retry_after = error.retry_after or 0.0
        exhausted = failures >= (attempts or self.attempts) or retry_after > _LONGEST_RETRY_AFTER
        if exhausted or not _may_succeed_later(error, idempotent):
            raise error
        self.sleep(retry_after + random.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (failures - 1))))


def _may_succeed_later(error: RequestError, idempotent: bool) -> bool:
    """Tell whether the same request may succeed later, and does no harm if the first one did as well."""
    if isinstance(error, UnansweredError):
        return idempotent or not error.sent
    if not isinstance(error, RefusedError):
        return False
    if error.status in _NO_EFFECT:
        return error.code.transient or error.code is Code.API_REFUSED
    return error.status >= 500 and idempotent


def _is_alive(status: int, content: bytes) -> bool:
    """Tell whether this is how our API answers that it is alive."""
    try:
        body = json.loads(content)
    except ValueError:
        return False
    return status == 200 and isinstance(body, dict) and body.get("data") == "alive"


def checked_base_url(url: str) -> str:
    """Return an API's URL without a slash at its end; raise ``UsageError(setting_invalid)`` if it is none.

    It may have a path: that below which a proxy serves the API.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # its message may hold a part of a password
        raise UsageError(Code.SETTING_INVALID, "the API's URL is not well-formed") from None
    rest = parts.query or parts.fragment or parts.username is not None
    path = parts.path.rstrip("/")
    if parts.scheme not in ("http", "https") or not parts.hostname or rest or not _is_prefix(path):
        form = "http(s)://HOST, http(s)://HOST:PORT or one of these with the path of a proxy"
        raise UsageError(Code.SETTING_INVALID, f"the API's URL is not {form}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "") + path


def _is_prefix(path: str) -> bool:
    """Tell whether a path may be that below which a proxy serves an API, and is not that of a file."""
    return not path or (PATH_PREFIX.fullmatch(path) is not None and "." not in path.rpartition("/")[2])


def is_loopback(origin: str) -> bool:
    """Tell whether an origin is on this machine."""
    host = urlsplit(origin).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def check_key(origin: str, key: str) -> None:
    """Raise ``UsageError`` if a key is malformed, or would be sent in plain text."""
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(Code.KEY_INVALID, "it has characters that no key has")
    if key and origin.startswith("http://") and not is_loopback(origin):
        detail = f"{origin}: others could read the key on the way; say https"
        raise UsageError(Code.SETTING_INVALID, detail)
